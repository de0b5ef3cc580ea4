/**
 * A file system in memory that forgets what was not fsynced. Each file has durable bytes and volatile ones, each folder
 * durable names and volatile ones; fsync of a file moves its bytes only, fsync of a folder its names only. `crashed`
 * gives what a power loss leaves. Any call can be made to fail, or to be the last.
 */
import { basename, dirname } from 'node:path';
import type { FileStat, LocalFile, LocalFs } from '../../backends/local-fs.ts';

interface FileNode {
  readonly kind: 'file';
  readonly id: number;
  readonly modifiedMs: number;
  volatile: Buffer;
  durable: Buffer;
}
interface FolderNode {
  readonly kind: 'folder';
  readonly id: number;
  readonly volatile: Map<string, Node>;
  readonly durable: Map<string, Node>;
}
type Node = FileNode | FolderNode;

/** What survives: what was fsynced; everything; or of each unsynced name and block whatever `random` says. */
export type Survival = 'synced' | 'all' | (() => number);

const BLOCK_SIZE_BYTES = 4096;
const TEMP_NAME = /[0-9a-f]{12}-\d+-[0-9a-f]{32}/g;

export class PowerLoss extends Error {}

export class CrashFs implements LocalFs {
  /** Every call so far: `link /s/tmp/TEMP /s/a/b`. Names of temporary files read TEMP. */
  readonly steps: string[] = [];
  /** Says how a call fails: a system error code, `crash` (this and all later calls fail, nothing is done), or not at all. */
  fault: (step: string, index: number) => string | undefined = () => undefined;
  /** Runs after a call was done, before its caller learns of it. */
  afterStep: (step: string, index: number) => Promise<void> = async () => {};
  nowMs = 1_800_000_000_000;
  #root: FolderNode;
  #nextId = 1;
  #down = false;

  constructor(...folders: readonly string[]) {
    this.#root = this.#folder();
    for (const path of folders) {
      const folder = this.#folder();
      this.#entries(dirname(path)).set(basename(path), folder);
      this.#folderAt(dirname(path)).durable.set(basename(path), folder);
    }
  }

  /** A file system as a power loss at this moment leaves it. */
  crashed(survival: Survival): CrashFs {
    const after = new CrashFs();
    after.nowMs = this.nowMs;
    const clones = new Map<Node, Node>();
    after.#root = after.#survive(this.#root, survival, clones) as FolderNode;
    return after;
  }

  /** Every file by its path, with its bytes as a reader sees them now. No call, so none that could fail. */
  files(): ReadonlyMap<string, Buffer> {
    const found = new Map<string, Buffer>();
    const walk = (folder: FolderNode, path: string): void => {
      for (const [name, node] of folder.volatile) {
        if (node.kind === 'folder') walk(node, `${path}/${name}`);
        else found.set(`${path}/${name}`, node.volatile);
      }
    };
    walk(this.#root, '');
    return found;
  }

  async open(path: string, how: 'create' | 'read' | 'folder'): Promise<LocalFile> {
    return this.#step(`${how} ${path}`, () => {
      const entries = this.#entries(dirname(path));
      const found = path === '/' ? this.#root : entries.get(basename(path));
      if (how === 'create') {
        if (found !== undefined) throw failure('EEXIST');
        return this.#handle(path, this.#file(entries, basename(path)));
      }
      if (found === undefined) throw failure('ENOENT');
      if (how === 'folder' && found.kind !== 'folder') throw failure('ENOTDIR');
      return this.#handle(path, found);
    });
  }

  link(from: string, to: string): Promise<void> {
    return this.#step(`link ${from} ${to}`, () => {
      const node = this.#nodeAt(from);
      const entries = this.#entries(dirname(to));
      if (entries.has(basename(to))) throw failure('EEXIST');
      entries.set(basename(to), node);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step(`rename ${from} ${to}`, () => {
      const node = this.#nodeAt(from);
      this.#entries(dirname(to)).set(basename(to), node);
      this.#entries(dirname(from)).delete(basename(from));
    });
  }

  unlink(path: string): Promise<void> {
    return this.#step(`unlink ${path}`, () => {
      if (this.#nodeAt(path).kind === 'folder') throw failure('EISDIR');
      this.#entries(dirname(path)).delete(basename(path));
    });
  }

  mkdir(path: string): Promise<void> {
    return this.#step(`mkdir ${path}`, () => {
      const entries = this.#entries(dirname(path));
      if (entries.has(basename(path))) throw failure('EEXIST');
      entries.set(basename(path), this.#folder());
    });
  }

  readFolder(path: string): ReturnType<LocalFs['readFolder']> {
    return this.#step(`list ${path}`, () =>
      [...this.#entries(path)].map(([name, { kind }]) => ({ name, kind })),
    );
  }

  stat(path: string): Promise<FileStat> {
    return this.#step(`stat ${path}`, () => statOf(this.#nodeAt(path)));
  }

  async #step<T>(named: string, work: () => T): Promise<T> {
    const step = named.replace(TEMP_NAME, 'TEMP');
    const index = this.steps.push(step) - 1;
    const fault = this.fault(step, index);
    if (fault === 'crash') this.#down = true;
    if (this.#down) throw new PowerLoss(`power loss before ${step}`);
    if (fault !== undefined) throw failure(fault);
    const outcome = work();
    await this.afterStep(step, index);
    return outcome;
  }

  #handle(path: string, node: Node): LocalFile {
    return {
      read: (buffer, position) =>
        this.#step(`read ${path}`, () => fileOf(node).volatile.copy(buffer, 0, position)),
      write: (bytes) =>
        this.#step(`write ${path}`, () => {
          // Short on purpose: every caller has to go on with the rest.
          const taken = bytes.subarray(0, Math.max(1, Math.ceil(bytes.length / 2)));
          const file = fileOf(node);
          file.volatile = Buffer.concat([file.volatile, taken]);
          return taken.length;
        }),
      sync: () => this.#step(`sync ${path}`, () => makeDurable(node)),
      stat: () => this.#step(`stat ${path}`, () => statOf(node)),
      close: () => this.#step(`close ${path}`, () => undefined),
    };
  }

  #folder(): FolderNode {
    this.#nextId += 1;
    return { kind: 'folder', id: this.#nextId, volatile: new Map(), durable: new Map() };
  }

  #file(entries: Map<string, Node>, name: string): FileNode {
    this.#nextId += 1;
    const file: FileNode = {
      kind: 'file',
      id: this.#nextId,
      modifiedMs: this.nowMs,
      volatile: Buffer.of(),
      durable: Buffer.of(),
    };
    entries.set(name, file);
    return file;
  }

  #nodeAt(path: string): Node {
    const node = path === '/' ? this.#root : this.#entries(dirname(path)).get(basename(path));
    if (node === undefined) throw failure('ENOENT');
    return node;
  }

  #folderAt(path: string): FolderNode {
    const node = this.#nodeAt(path);
    if (node.kind !== 'folder') throw failure('ENOTDIR');
    return node;
  }

  #entries(path: string): Map<string, Node> {
    return this.#folderAt(path).volatile;
  }

  #survive(node: Node, survival: Survival, clones: Map<Node, Node>): Node {
    const known = clones.get(node);
    if (known !== undefined) return known;
    if (node.kind === 'file') {
      const bytes = survivingBytes(node, survival);
      const file: FileNode = { ...node, volatile: bytes, durable: bytes };
      clones.set(node, file);
      return file;
    }
    const folder = this.#folder();
    clones.set(node, folder);
    for (const [name, entry] of survivingEntries(node, survival)) {
      const clone = this.#survive(entry, survival, clones);
      folder.volatile.set(name, clone);
      folder.durable.set(name, clone);
    }
    return folder;
  }
}

function makeDurable(node: Node): void {
  if (node.kind === 'file') {
    node.durable = node.volatile;
    return;
  }
  node.durable.clear();
  for (const [name, entry] of node.volatile) node.durable.set(name, entry);
}

function survivingEntries(node: FolderNode, survival: Survival): Iterable<[string, Node]> {
  if (survival === 'synced') return node.durable;
  if (survival === 'all') return node.volatile;
  const names = new Set([...node.durable.keys(), ...node.volatile.keys()]);
  return [...names].flatMap((name): [string, Node][] => {
    const entry = (survival() < 0.5 ? node.durable : node.volatile).get(name);
    return entry === undefined ? [] : [[name, entry]];
  });
}

/** Unsynced blocks survive each for itself; a lost one reads as zeros, and the file may end anywhere behind what was synced. */
function survivingBytes(node: FileNode, survival: Survival): Buffer {
  if (survival === 'synced' || node.durable === node.volatile) return node.durable;
  if (survival === 'all') return node.volatile;
  const grown = node.volatile.length - node.durable.length;
  const bytes = Buffer.from(
    node.volatile.subarray(0, node.durable.length + Math.floor(survival() * (grown + 1))),
  );
  for (let at = node.durable.length; at < bytes.length; at += BLOCK_SIZE_BYTES) {
    if (survival() < 0.5) bytes.fill(0, at, Math.min(bytes.length, at + BLOCK_SIZE_BYTES));
  }
  return bytes;
}

function statOf(node: Node): FileStat {
  const file = node.kind === 'file' ? node : undefined;
  return {
    kind: node.kind,
    sizeBytes: file?.volatile.length ?? 0,
    modifiedMs: file?.modifiedMs ?? 0,
    identity: String(node.id),
  };
}

function fileOf(node: Node): FileNode {
  if (node.kind === 'folder') throw failure('EISDIR');
  return node;
}

const failure = (code: string): Error => Object.assign(new Error(`planned: ${code}`), { code });
