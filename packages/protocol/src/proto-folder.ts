/** Where the .proto files are: `millrace.proto` and `open_inference_grpc.proto`, beside the sources and what is built of them. */
export const protoFolder: URL = new URL('../proto/', import.meta.url);
