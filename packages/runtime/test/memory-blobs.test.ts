import { createMemoryBlobs } from '../src/memory-blobs.ts';
import { blobConformance } from './blob-conformance.ts';

blobConformance('memory blobs', async () => ({ blobs: createMemoryBlobs(), end: async () => undefined }));
