import { defineConfig, textSetting } from '@millrace/runtime';

/** Settings of the command itself. */
export const cliSettings = defineConfig({
  url: {
    env: 'MILL_URL',
    parser: textSetting(),
    default: null,
    sentence:
      'Inference node to talk to, or several with commas between; none: the cluster that runs in this directory, else http://127.0.0.1:8080.',
  },
  apiKey: {
    env: 'MILL_API_KEY',
    parser: textSetting({ pattern: /^[!-~]{1,1024}$/, wanted: '1 to 1,024 printable characters' }),
    default: null,
    isSecret: true,
    sentence: 'Key that commands show to inference nodes.',
  },
  natsServer: {
    env: 'MILL_NATS_SERVER',
    parser: textSetting(),
    default: null,
    sentence: 'Path of nats-server; none: looked for on PATH, then installed.',
  },
  dataDirectory: {
    env: 'MILL_DATA',
    parser: textSetting(),
    default: '.millrace',
    sentence: 'Directory of a cluster that runs here: logs of NATS, process logs, addresses.',
  },
});
