/** Sends a generated file up and down through the real programs, one process each, and reads how much memory they took. */
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createHasher, type Digest } from '../../../core/digest.ts';
import { stampedStream } from '../../support/stamped-stream.ts';
import { type AgentAnswer, AgentProcess, peakMibOf } from './agent-process.ts';
import type { Project, Stage } from './stage.ts';

const MIB = 1024 * 1024;

/** `basic` and `datamon` go through the server, `standalone` straight to the store. */
export type Way = 'basic' | 'datamon' | 'standalone';

export interface Pass {
  readonly way: Way;
  readonly direction: 'upload' | 'download';
  readonly sizeMib: number;
  readonly seconds: number;
  readonly agentPeakMib: number;
  /** Null where no server takes part. */
  readonly serverPeakMib: number | null;
}

export interface GeneratedFile {
  readonly path: string;
  readonly oid: Digest;
  readonly sizeMib: number;
}

/** Incompressible, no chunk twice. */
export async function generateFile(folder: string, sizeMib: number): Promise<GeneratedFile> {
  const path = join(folder, 'generated.dat');
  const hasher = createHasher();
  const file = await open(path, 'w');
  try {
    for await (const piece of stampedStream(0, sizeMib)) {
      hasher.update(piece);
      await file.write(piece);
    }
  } finally {
    await file.close();
  }
  return { path, oid: hasher.digest(), sizeMib };
}

/** Up, then down, each in a fresh agent and a fresh server. Throws unless the bytes that come back are those that went up. */
export async function passBothWays(
  stage: Stage,
  options: { readonly way: Way; readonly file: GeneratedFile; readonly timeoutMs: number },
): Promise<readonly Pass[]> {
  const { way } = options;
  const url = way === 'standalone' ? { url: `${stage.storeUrl}-${way}//${way}/memory` } : {};
  const project = await stage.project(`memory-${way}`, url);
  const passes: Pass[] = [];
  for (const direction of ['upload', 'download'] as const) {
    if (way !== 'standalone') {
      await stage.killServer('SIGTERM');
      await stage.startServer();
    }
    passes.push(await passOnce(stage, project, { ...options, direction }));
  }
  return passes;
}

async function passOnce(
  stage: Stage,
  project: Project,
  options: {
    readonly way: Way;
    readonly direction: 'upload' | 'download';
    readonly file: GeneratedFile;
    readonly timeoutMs: number;
  },
): Promise<Pass> {
  const { way, direction, file, timeoutMs } = options;
  const action = way === 'standalone' ? null : await askForAction(project, options);
  const agent = new AgentProcess({ cwd: project.repo.dir, env: stage.world.env, timeoutMs });
  try {
    await agent.ask({
      event: 'init',
      operation: direction,
      remote: 'origin',
      concurrent: false,
      concurrenttransfers: 8,
    });
    const began = performance.now();
    const path = direction === 'upload' ? { path: file.path } : {};
    const size = file.sizeMib * MIB;
    const answer = await agent.ask({ event: direction, oid: file.oid, size, ...path, action });
    const seconds = (performance.now() - began) / 1000;
    await check(answer, file, direction);
    return {
      way,
      direction,
      sizeMib: file.sizeMib,
      seconds: Math.round(seconds * 10) / 10,
      agentPeakMib: await peakMibOf(agent.pid),
      serverPeakMib: way === 'standalone' ? null : await peakMibOf(stage.serverPid),
    };
  } finally {
    await agent.end().catch(() => agent.kill());
  }
}

interface BatchAnswer {
  readonly transfer?: string;
  readonly objects: readonly {
    readonly actions?: Readonly<
      Record<string, { readonly href: string; readonly header?: Readonly<Record<string, string>> }>
    >;
  }[];
}

async function askForAction(
  project: Project,
  {
    way,
    direction,
    file,
  }: {
    readonly way: Way;
    readonly direction: 'upload' | 'download';
    readonly file: GeneratedFile;
  },
): Promise<object> {
  const type = 'application/vnd.git-lfs+json';
  const response = await fetch(`${project.url}/objects/batch`, {
    method: 'POST',
    headers: { 'Content-Type': type, Accept: type },
    body: JSON.stringify({
      operation: direction,
      transfers: way === 'basic' ? ['basic'] : ['datamon', 'basic'],
      objects: [{ oid: file.oid, size: file.sizeMib * MIB }],
    }),
  });
  const { transfer = 'basic', objects } = (await response.json()) as BatchAnswer;
  const action = objects[0]?.actions?.[direction];
  if (transfer !== way || action === undefined) {
    throw new Error(`the server offers ${transfer} and ${JSON.stringify(objects)}`);
  }
  // An address with a query is no datamon's to the agent, so that it speaks plain HTTP.
  const href = way === 'basic' ? `${action.href}?plain` : action.href;
  return { header: {}, ...action, href };
}

async function check(
  answer: AgentAnswer,
  file: GeneratedFile,
  direction: 'upload' | 'download',
): Promise<void> {
  if (answer.event !== 'complete' || answer.error !== undefined) {
    throw new Error(`${direction}: ${JSON.stringify(answer)}`);
  }
  if (direction === 'upload') return;
  const path = answer.path ?? '';
  const hasher = createHasher();
  for await (const bytes of createReadStream(path)) hasher.update(bytes as Buffer);
  const { size } = await stat(path);
  if (size !== file.sizeMib * MIB || hasher.digest() !== file.oid) {
    throw new Error(`what came back is not what went up: ${size} bytes`);
  }
  await rm(path);
}
