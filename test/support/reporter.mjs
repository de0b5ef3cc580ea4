/** Mocha's spec report, closed by the one plain line that scripts read: "N passed, N failed". */
import Mocha from 'mocha';

export default class ClosingLine extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options);
    runner.once('end', () => {
      // Behind mocha's own epilogue, which listens to the same event.
      setImmediate(() => {
        const { passes, failures, pending } = this.stats;
        const skipped = pending > 0 ? `, ${pending} skipped` : '';
        process.stdout.write(`\n${passes} passed, ${failures} failed${skipped}\n`);
      });
    });
  }
}
