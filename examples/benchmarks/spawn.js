// Node's child_process for `aiospawn bench --peers`: up to COUNT children, WINDOW at a time, for no longer than SECONDS.
//
//     node spawn.js PROGRAM COUNT SECONDS WINDOW none|pipe
//
// Prints one JSON object.
'use strict';
const { spawn } = require('child_process');

const [program, count, seconds, window, capture] = process.argv.slice(2);
if (capture === undefined) {
  console.error('usage: node spawn.js PROGRAM COUNT SECONDS WINDOW none|pipe');
  process.exit(2);
}
const piped = capture === 'pipe';

function launch() {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [], { stdio: ['inherit', piped ? 'pipe' : 'inherit', 'inherit'] });
    if (piped) child.stdout.resume();
    child.on('error', reject);
    child.on(piped ? 'close' : 'exit', (status) => (status === 0 ? resolve() : reject(new Error(`status ${status}`))));
  });
}

async function main() {
  await launch();
  const started = process.hrtime.bigint();
  const elapsed = () => Number(process.hrtime.bigint() - started) / 1e9;
  let taken = 0;
  let launched = 0;
  async function worker() {
    while (taken < count && elapsed() < seconds) {
      taken += 1;
      await launch();
      launched += 1;
    }
  }
  await Promise.all(Array.from({ length: Number(window) }, worker));
  const total = elapsed();
  console.log(JSON.stringify({
    launched, seconds: total, cut: launched < count, per_s: launched / total, mean_us: (total / launched) * 1e6,
  }));
}

main().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
