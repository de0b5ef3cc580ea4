/** Where reports are kept: JSON files, and the generated part of docs/performance.md with the one JSON it was made from. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DatamonError } from '../core/errors.ts';
import type { Report } from './model.ts';
import { formatReport } from './report-text.ts';

const BEGIN = '<!-- made by npm run bench -- --write-docs; from here -->';
const END = '<!-- to here -->';

export async function writeReport(file: string, report: Report): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await replace(file, `${JSON.stringify(report, null, 1)}\n`);
}

/** The works that were run, put into the page and its JSON; other works stay where they were measured on the same machine. */
export async function writeDocs(
  files: { readonly page: string; readonly json: string },
  report: Report,
): Promise<void> {
  const merged = merge(await readReport(files.json), report);
  const page = await readFile(files.page, 'utf8');
  const text = withGenerated(page, formatReport(merged));
  await writeReport(files.json, merged);
  await replace(files.page, text);
}

/** The page with its generated part replaced. INVALID where the marks are not there, in order. */
export function withGenerated(page: string, generated: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new DatamonError(
      'INVALID',
      'docs/performance.md has lost the marks between which the tables go',
      { hint: `Put these lines back: ${BEGIN} and ${END}` },
    );
  }
  return `${page.slice(0, begin + BEGIN.length)}\n\n${generated.trim()}\n\n${page.slice(end)}`;
}

/** New works replace old ones of the same id, and so do programs, by name; those of another machine or size are dropped. */
export function merge(old: Report | null, fresh: Report): Report {
  if (old === null || old.size !== fresh.size || !sameMachine(old, fresh)) return fresh;
  const replaced = new Set(fresh.works.map(({ id }) => id));
  const works = [...old.works.filter(({ id }) => !replaced.has(id)), ...fresh.works];
  const named = new Set(fresh.programs.map(({ name }) => name));
  // A run of some programs says nothing about the others, which works that stay were measured with.
  const programs = [...fresh.programs, ...old.programs.filter(({ name }) => !named.has(name))];
  const number = (id: string): number => Number(id.slice(1));
  return { ...fresh, programs, works: works.toSorted((a, b) => number(a.id) - number(b.id)) };
}

function sameMachine({ machine: a }: Report, { machine: b }: Report): boolean {
  return a.cpu === b.cpu && a.cores === b.cores && a.fileSystem === b.fileSystem;
}

async function readReport(file: string): Promise<Report | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  const report = JSON.parse(text) as Report;
  return report.format === 'datamon-bench' && report.version === 1 ? report : null;
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}
