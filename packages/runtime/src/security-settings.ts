/** Settings of every service that say who it is and whom it trusts. Secrets may stand in files; then no environment shows them. */
import { defineConfig } from './config.ts';
import { textSetting } from './config-parsers.ts';

const pathSetting = textSetting({ charsMax: 4_096, wanted: 'the path of a file' });
const secretSetting = textSetting({ pattern: /^[!-~]{1,1024}$/, wanted: '1 to 1,024 printable characters' });

/** Below 16 characters a token could be guessed by trying. */
const tokenSetting = textSetting({ pattern: /^[!-~]{16,1024}$/, wanted: '16 to 1,024 printable characters' });

export const securitySettings = defineConfig({
  clusterToken: {
    env: 'MILL_CLUSTER_TOKEN',
    parser: tokenSetting,
    default: null,
    isSecret: true,
    sentence: 'Token that shards want of their callers; the same in all processes of a cluster.',
  },
  clusterTokenFile: {
    env: 'MILL_CLUSTER_TOKEN_FILE',
    parser: pathSetting,
    default: null,
    sentence: 'File that the token stands in, instead of MILL_CLUSTER_TOKEN.',
  },
  tlsCa: {
    env: 'MILL_TLS_CA',
    parser: pathSetting,
    default: null,
    sentence:
      'Certificates of the authority that shards and their callers trust, PEM; with it pulls go over TLS.',
  },
  tlsCert: {
    env: 'MILL_TLS_CERT',
    parser: pathSetting,
    default: null,
    sentence: 'Certificate of this process, PEM; that of a shard is made out to `millrace-shard`.',
  },
  tlsKey: {
    env: 'MILL_TLS_KEY',
    parser: pathSetting,
    default: null,
    sentence: 'Key of MILL_TLS_CERT, PEM, without a pass phrase.',
  },
  apiKeysFile: {
    env: 'MILL_API_KEYS_FILE',
    parser: pathSetting,
    default: null,
    sentence:
      'Keys of the HTTP API and of metrics, as `millrace keys` writes them; read again when it changes. None: no key is asked for.',
  },
  natsUser: {
    env: 'MILL_NATS_USER',
    parser: secretSetting,
    default: null,
    sentence: 'User of the NATS servers.',
  },
  natsPassword: {
    env: 'MILL_NATS_PASSWORD',
    parser: secretSetting,
    default: null,
    isSecret: true,
    sentence: 'Password of MILL_NATS_USER.',
  },
  natsPasswordFile: {
    env: 'MILL_NATS_PASSWORD_FILE',
    parser: pathSetting,
    default: null,
    sentence: 'File that the password stands in, instead of MILL_NATS_PASSWORD.',
  },
  natsToken: {
    env: 'MILL_NATS_TOKEN',
    parser: secretSetting,
    default: null,
    isSecret: true,
    sentence: 'Token that the NATS servers want, instead of a user.',
  },
  natsCreds: {
    env: 'MILL_NATS_CREDS',
    parser: pathSetting,
    default: null,
    sentence: 'A .creds file of the NATS servers’ operator, instead of a user.',
  },
  natsTlsCa: {
    env: 'MILL_NATS_TLS_CA',
    parser: pathSetting,
    default: null,
    sentence:
      'Certificates of the authority that the NATS servers must be signed by, PEM; with it TLS is a must.',
  },
  natsTlsCert: {
    env: 'MILL_NATS_TLS_CERT',
    parser: pathSetting,
    default: null,
    sentence: 'Certificate that this process shows to the NATS servers, PEM.',
  },
  natsTlsKey: {
    env: 'MILL_NATS_TLS_KEY',
    parser: pathSetting,
    default: null,
    sentence: 'Key of MILL_NATS_TLS_CERT, PEM, without a pass phrase.',
  },
});
