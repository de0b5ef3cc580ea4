/** The lines a push prints: what was found and sent before git's own report, bundle and URL after it. */
import {
  formatBytes,
  formatCount,
  formatRate,
  formatResumed,
  formatReused,
  shortId,
} from '../client/format.ts';
import type { Receipt } from '../core/cas/blob-store.ts';
import type { Digest } from '../core/digest.ts';
import type { GitSha } from '../core/keys.ts';
import type { PushReceipt, TreeTotals } from '../core/meta/model.ts';
import { getConfig } from '../git/config.ts';
import type { GitRepository } from '../git/repository.ts';
import { type HookWorld, say } from './world.ts';

/** Digits of a commit in URLs: the page takes any prefix, and links must stay unambiguous for years. */
const URL_COMMIT_LENGTH = 12;

export type ReceiptStyle = 'url' | 'short' | 'off';

export async function receiptStyle(repo: GitRepository): Promise<ReceiptStyle> {
  const value = await getConfig(repo.git, 'datamon.receipt');
  return value === 'short' || value === 'off' ? value : 'url';
}

export interface Shown {
  readonly bundle: Digest;
  readonly commit: GitSha;
  readonly totals: TreeTotals;
  readonly receipt: PushReceipt;
  readonly webUrl: string | null;
}

/** The last lines of a push. */
export function sayReceipt(world: HookWorld, style: ReceiptStyle, shown: Shown): void {
  if (style === 'off') return;
  const { bundle, totals, receipt } = shown;
  const from = receipt.reusedFrom === null ? '' : ` from ${shortId(receipt.reusedFrom)}`;
  const parts = [
    `bundle ${shortId(bundle)}`,
    `${formatBytes(totals.sizeBytes)}, ${formatBytes(receipt.newBytes)} new`,
    `${formatReused(totals.sizeBytes, receipt.newBytes)}${from}`,
  ];
  say(world, parts.join(' · '));
  if (style === 'short') return;
  if (shown.webUrl === null) say(world, `see it with: datamon show ${shortId(bundle)}`);
  else say(world, `${shown.webUrl}/commit/${shown.commit.slice(0, URL_COMMIT_LENGTH)}`);
}

export function sayFound(world: HookWorld, fileCount: number, sizeBytes: number): void {
  const files = formatCount(fileCount, 'file');
  say(world, `${files} changed, ${formatBytes(sizeBytes)}; looking for known parts`);
}

export function saySent(
  world: HookWorld,
  sent: { readonly sizeBytes: number; readonly receipt: Receipt; readonly durationMs: number },
): void {
  const { sizeBytes, receipt, durationMs } = sent;
  say(
    world,
    `100% (${formatBytes(sizeBytes)}), ${formatBytes(receipt.newBytes)} new, sent ${formatBytes(receipt.storedBytes)}, ${formatRate(sizeBytes, durationMs)}, done${formatResumed(receipt.resumedBytes)}`,
  );
}

const TERMINAL_INTERVAL_MS = 200;
const PLAIN_INTERVAL_MS = 10_000;

/** Progress of one pass over many files: a line rewritten in place on a terminal, else a line every ten seconds. */
export class Progress {
  readonly #world: HookWorld;
  readonly #sizeBytes: number;
  readonly #done = new Map<Digest, number>();
  #doneBytes = 0;
  #saidAtMs: number;
  #isOpenLine = false;

  constructor(world: HookWorld, sizeBytes: number) {
    this.#world = world;
    this.#sizeBytes = sizeBytes;
    this.#saidAtMs = world.nowMs();
  }

  /** `doneBytes` of this file need no more reading. */
  update(oid: Digest, doneBytes: number): void {
    const before = this.#done.get(oid) ?? 0;
    if (doneBytes <= before) return;
    this.#done.set(oid, doneBytes);
    this.#doneBytes += doneBytes - before;
    const { io } = this.#world;
    const interval = io.isTerminal ? TERMINAL_INTERVAL_MS : PLAIN_INTERVAL_MS;
    if (this.#world.nowMs() - this.#saidAtMs < interval) return;
    this.#saidAtMs = this.#world.nowMs();
    const percent = Math.min(
      99,
      Math.floor((this.#doneBytes * 100) / Math.max(1, this.#sizeBytes)),
    );
    const text = `${percent}% (${formatBytes(this.#doneBytes)} of ${formatBytes(this.#sizeBytes)})`;
    if (io.isTerminal) {
      io.stderr.write(`\r\u001b[Kdatamon: ${text}`);
      this.#isOpenLine = true;
    } else say(this.#world, text);
  }

  /** Ends the line that was rewritten. */
  end(): void {
    if (this.#isOpenLine) this.#world.io.stderr.write('\r\u001b[K');
    this.#isOpenLine = false;
  }
}
