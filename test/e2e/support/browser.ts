/** A real browser without a window: pages as it sees them after everything ran that runs. Chromium's own executable, a profile of its own. */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { makeTempDir } from '../../support/temp-dir.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const TIMEOUT_MS = 25_000;
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--hide-scrollbars',
  '--window-size=1280,900',
];

/** Its path, or null on a machine without one. */
export function findBrowser(): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of NAMES) {
      try {
        const file = join(folder, name);
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // The next one.
      }
    }
  }
  return null;
}

/** The document as HTML once it has loaded. */
export async function domOf(browser: string, url: string): Promise<string> {
  return await run(browser, ['--dump-dom', url]);
}

export type Pixel = readonly [red: number, green: number, blue: number];

/** The colour of the page's top left corner. */
export async function cornerOf(
  browser: string,
  url: string,
  scheme: 'light' | 'dark',
): Promise<Pixel> {
  const file = join(await makeTempDir(), 'shot.png');
  const preferred = scheme === 'dark' ? 0 : 1;
  await run(browser, [
    `--blink-settings=preferredColorScheme=${preferred}`,
    `--screenshot=${file}`,
    url,
  ]);
  return firstPixel(await readFile(file));
}

/** Of an 8-bit RGB or RGBA image: every filter leaves the first pixel of the first row as it is. */
function firstPixel(png: Buffer): Pixel {
  const parts: Buffer[] = [];
  for (let at = 8; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === 'IDAT') {
      parts.push(png.subarray(at + 8, at + 8 + length));
    }
    at += length + 12;
  }
  const [, red = 0, green = 0, blue = 0] = inflateSync(Buffer.concat(parts));
  return [red, green, blue];
}

async function run(browser: string, args: readonly string[]): Promise<string> {
  const profile = await makeTempDir();
  const child = spawn(browser, [...FLAGS, `--user-data-dir=${profile}`, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, HOME: profile, XDG_CONFIG_HOME: profile, XDG_CACHE_HOME: profile },
  });
  const out: Buffer[] = [];
  const said: Buffer[] = [];
  child.stdout.on('data', (bytes: Buffer) => out.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => said.push(bytes));
  const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS);
  try {
    const status = await new Promise((done, fail) => {
      child.once('error', fail);
      child.once('close', done);
    });
    if (status === 0) return Buffer.concat(out).toString('utf8');
    throw new Error(
      `${browser} ended with ${status}: ${Buffer.concat(said).toString().slice(-500)}`,
    );
  } finally {
    clearTimeout(timer);
  }
}
