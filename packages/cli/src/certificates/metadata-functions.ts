/**
 * The certificate library asks, as it is loaded, for functions that hold metadata of decorated classes; a package of their
 * own gives them to whoever needs any. Nothing here has such metadata, so there is none to hold. To be imported before it.
 */
const functions: { [name: string]: unknown } = Reflect as object as { [name: string]: unknown };
for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) functions[name] ??= () => undefined;
