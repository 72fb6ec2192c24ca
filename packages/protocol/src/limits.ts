/**
 * Every limit that both sides of a process boundary must agree on. Bytes are bytes, times are milliseconds.
 * The relations between them are asserted in test/limits.test.ts.
 */

/** Partitions of a model unless its file says otherwise: enough to spread over tens of shards, few enough to batch well. */
export const partitionsDefault = 64;
/** More would make a batch of gradients fall apart into blocks of one row. */
export const partitionsMax = 4_096;
/** Owners a partition has unless configured otherwise: one may die and every read still finds the other. */
export const replicasDefault = 2;
/** Owners that must answer reads before earlier ones let go: as many as there are, so that a move never leaves only one. */
export const minReplicasDefault = 2;
/**
 * Owners whose rows are older than this are passed over while fresher ones answer: far above what a busy owner lags, well
 * below what a model forgets.
 */
export const stalenessMsMaxDefault = 10_000;

/** How long an impression waits for its outcomes unless its model says otherwise. */
export const joinWindowMsDefault = 30_000;
/**
 * Later events of the log that an impression, or an outcome without one, may wait for at most; also what a late window is cut
 * at. With joinBytesMax this bounds a joiner's memory by a rule that reads the log alone, and so replays alike from any start.
 * Fixed: another value would have a restarted updater find other examples.
 */
export const joinEventsMax = 1_000_000;
/** Likewise the bytes of later events of its model: 260,000 impressions of 1 KiB, some 1 GiB of memory at worst. */
export const joinBytesMax = 256 * 1024 * 1024;
/** Kinds of outcomes of one model, at most: one bit each in what a joiner knows of an item. */
export const outcomeKindsMax = 16;
/** Characters of the name of a kind of outcome in an event. */
export const outcomeNameCharsMax = 64;

/** Floats of one row's weights, at most. */
export const rowFloatsMax = 1_024;
/** Floats of one row's optimizer state, at most: Adam keeps two a weight and two a segment. */
export const optimizerFloatsMax = 2 * rowFloatsMax + 4;
/**
 * Gradients, and curvatures, beyond this are cut to it before they are logged: squared and summed ten billion times they still
 * fit a float32, so no optimizer's state overflows.
 */
export const gradientMagnitudeMax = 1e9;

/** Tables of one model, at most. */
export const tablesMax = 64;
/** Fields and crosses of one model, at most. */
export const fieldsMax = 256;
/** Layers that a model file may list, at most. */
export const layersMax = 16;
/** Dense parameters of one model, at most: their float32 gradients, 4 MB, must fit one message of the log. */
export const denseParametersMax = 1_000_000;

/** Largest TCP frame, header included. A longer one ends the connection before a byte of it is buffered. */
export const frameBytesMax = 16 * 1024 * 1024;
/** Keys of one pull frame; a larger pull is split by the client. 65,536 keys of 60 floats fill a frame. */
export const pullKeysMax = 65_536;
/** Largest message in any log; nats-server must allow it (`max_payload`). */
export const messageBytesMax = 4 * 1024 * 1024;

/** How often whoever keeps copies of rows says that it wants to be told of changes. */
export const rowsWantedEveryMs = 1_000;
/** Shards go on telling for so long after they heard it last: four lost notices in a row cost nothing. */
export const rowsWantedMs = 5_000;
/** A notice of changed rows has about this many bytes at most: copying them takes a shard under a millisecond. */
export const rowUpdateBytes = 256 * 1024;
/** Keys of one partition in one notice; where more changed, it says that any row may have. */
export const rowUpdateKeysMax = 4_096;

/** Largest HTTP request body. */
export const bodyBytesMax = 4 * 1024 * 1024;
/** Candidates of one score request. */
export const scoreItemsMax = 2_000;
/**
 * Items times places of one rank request by Thompson sampling. Each place is an integral over all items that are left, some
 * 3 µs an item: this many take about 30 ms, and more would hold up everybody else's requests for too long.
 */
export const thompsonWorkMax = 10_000;
/** Events of one POST. */
export const eventsPerPostMax = 10_000;
/** Characters of one feature value. */
export const featureCharsMax = 1_024;
/** Values of one multi-valued or sequence field in one example; more are refused, not cut silently. */
export const featureValuesMax = 1_000;

/** Versions of one model that are kept. Each may be loaded on every node: 64 of the largest nets take 256 MB there. */
export const versionsMax = 64;
/** Labels of one model. */
export const versionLabelsMax = 32;
/** Characters of a version's note, and of the reason of a label's move. */
export const versionNoteCharsMax = 500;
/** Moves of labels that a model's catalog remembers. */
export const labelMovesKept = 64;

/** Buckets that a layer of experiments hashes units to: shares come in steps of a hundredth of a percent. */
export const experimentBuckets = 10_000;
/**
 * Groups of units that an arm's figures are summed in. How they differ tells how far chance goes, whatever the units do more
 * than once; 512 leave the error of that itself at 3 %.
 */
export const unitGroups = 512;
/** Units of an arm that are told apart, 16 KB; of more a sample of so many, which shows shares that are off by some 5 %. */
export const unitSampleMax = 4_096;
/** Arms of one experiment. */
export const experimentArmsMax = 8;
/** Experiments of one model at a time, and those that its catalog remembers, ended ones included. */
export const experimentsRunningMax = 16;
export const experimentsMax = 64;
/** Changes of one experiment that are remembered. */
export const experimentChangesKept = 64;
/**
 * Arms of one model whose results are kept, and that may run at a time, since one without results is an arm that nobody guards:
 * with 16 kinds of outcomes and orders drawn in all of them, 32 take nearly one message.
 */
export const resultArmsMax = 32;
/**
 * Names that the last minute's figures of a model are kept by: its arms, what was answered beside shadows, versions, and arms of
 * other models that learn here. Each takes 7 KB of whoever watches.
 */
export const armNamesMax = 192;
