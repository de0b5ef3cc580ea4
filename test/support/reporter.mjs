/**
 * Mocha's spec report, closed by the one plain line that scripts read: "N passed, N failed". Where something a test left running
 * then keeps the process from ending, it says what, and ends it as a failure.
 */
import Mocha from 'mocha';

const END_TIMEOUT_MS = 15_000;

export default class ClosingLine extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      // Behind mocha's own epilogue, which listens to the same event.
      setImmediate(() => {
        const { passes, failures, pending } = this.stats;
        const skipped = pending > 0 ? `, ${pending} skipped` : '';
        process.stdout.write(`\n${passes} passed, ${failures} failed${skipped}\n`);
        setTimeout(breakOff, END_TIMEOUT_MS).unref();
      });
    });
  }
}

function breakOff() {
  const running = process.getActiveResourcesInfo().join(', ') || 'a thread';
  const message = `the tests left something running, which keeps the process from ending: ${running}\n`;
  process.stderr.write(message, () => {
    // Behind mocha's own listener, which sets the status by the failures.
    process.on('exit', () => {
      process.exitCode = 1;
    });
    process.exit();
  });
}
