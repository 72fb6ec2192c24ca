# One image for every service of a cluster; the command says which: shard, inference or updater.
#
#   manifests   package.json files alone, so that sources may change without installing anew
#   build       all dependencies, TypeScript to JavaScript
#   production  what runs needs of node_modules
#   service     Node, dist/ and node_modules; no compiler, no sources, no package manager's leftovers; what is built by default
#   gpu         the same on CUDA, with ONNX Runtime's part for it (docs/gpu.md); for amd64
#
# Every base image can be another one: docker build --build-arg NODE_IMAGE=registry.example/node:22 .
ARG NODE_IMAGE=node:22-bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04

FROM ${NODE_IMAGE} AS manifests
WORKDIR /millrace
COPY package.json package-lock.json .npmrc ./
COPY packages packages
RUN find packages -type f ! -name package.json -delete && find packages -type d -empty -delete

FROM ${NODE_IMAGE} AS build
WORKDIR /millrace
COPY --from=manifests /millrace ./
RUN npm ci
COPY tsconfig.base.json ./
COPY packages packages
RUN npx --no-install tsc -b packages/cli
# What was compiled is what the command needs; private packages (tests, benchmarks) have no dist/ and stay behind.
RUN mkdir /dist && cp --parents -r packages/*/dist packages/protocol/proto /dist \
  && for dist in packages/*/dist; do cp --parents "${dist%/dist}/package.json" /dist; done \
  && find /dist -name '*.d.ts' -delete

FROM ${NODE_IMAGE} AS production
WORKDIR /millrace
# Where a shard keeps files of its own, and where certificates are mounted: a volume takes over its owner from here.
RUN mkdir -p /var/lib/millrace /etc/millrace && chown 1000:1000 /var/lib/millrace /etc/millrace
COPY --from=manifests /millrace ./
# tsx runs the command from its sources, which are not in the image; with it goes a second compiler of 10 MB.
RUN npm ci --omit=dev --workspace packages/cli \
  && rm -rf node_modules/tsx node_modules/esbuild node_modules/@esbuild node_modules/.bin \
  && rm -rf packages package-lock.json .npmrc /root/.npm \
  # ONNX Runtime brings its binaries for every platform; those that are not this one's weigh 245 MB.
  && if [ -d node_modules/onnxruntime-node ]; then \
    find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 -type d \
      ! -path "*/$(node -p 'process.platform + "/" + process.arch')" -exec rm -rf {} +; fi

FROM production AS service
LABEL org.opencontainers.image.title="millrace" \
  org.opencontainers.image.description="A parameter-server cluster for recommender models that scores and learns from clicks at the same time." \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
COPY --from=build /dist ./
# By number, so that it also holds where the image knows no user of that name; `node` in the official images.
USER 1000:1000
STOPSIGNAL SIGTERM
# Exec form: Node itself gets SIGTERM, and drains.
ENTRYPOINT ["node", "packages/cli/dist/main.js"]
CMD ["--help"]

FROM production AS production-gpu
# The registry's package has binaries for CPUs; those for CUDA 12 are fetched by its own script.
RUN node node_modules/onnxruntime-node/script/install --onnxruntime-node-install=cuda12

FROM ${CUDA_IMAGE} AS gpu
LABEL org.opencontainers.image.title="millrace-gpu" \
  org.opencontainers.image.description="Millrace on CUDA." \
  org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /millrace
RUN mkdir -p /var/lib/millrace /etc/millrace && chown 1000:1000 /var/lib/millrace /etc/millrace
COPY --from=production-gpu /usr/local/bin/node /usr/local/bin/node
COPY --from=production-gpu /millrace ./
COPY --from=build /dist ./
# Kernels that the driver compiles are kept in memory: everything else is read-only.
ENV NODE_ENV=production MILL_ENGINE=onnx-cuda CUDA_CACHE_PATH=/tmp/cuda
USER 1000:1000
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "packages/cli/dist/main.js"]
CMD ["--help"]

# What `docker build .` makes.
FROM service
