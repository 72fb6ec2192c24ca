/**
 * The health check of a container: asks one URL, exits 0 when it answers 200 and 1 when not. A program of its own, since the
 * `millrace` command loads the engines and would spend a second of a core on every check.
 *
 *   node health-check.js http://127.0.0.1:9464/health/ready
 *   node health-check.js https://127.0.0.1:8080/health/ready /certs/ca.pem
 */
import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import * as https from 'node:https';

/** Below the shortest `timeout` of a check in docker-compose.yml, so that this program says itself what was wrong. */
const answerMsMax = 4_000;

const [url, authority] = process.argv.slice(2);
if (url === undefined) {
  process.stderr.write('health-check: wanted a URL\n');
  process.exitCode = 1;
} else {
  // An engine shows what a check has printed, so the answer itself says more than a status.
  const options = { timeout: answerMsMax, ...(authority !== undefined && { ca: readFileSync(authority) }) };
  const { get } = url.startsWith('https:') ? https : http;
  const request = get(url, options, (response) => {
    response.pipe(process.stdout);
    process.exitCode = response.statusCode === 200 ? 0 : 1;
  });
  request.on('timeout', () => request.destroy(new Error(`no answer within ${answerMsMax} ms`)));
  request.on('error', (error) => {
    process.stderr.write(`health-check: ${url}: ${error.message}\n`);
    process.exitCode = 1;
  });
}
