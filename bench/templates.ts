/** The data sets, each made when a work first asks for it and kept for the others. */
import { bigFile, bigFileWithInsertion, clientFile, smallFiles } from './data.ts';
import type { Rig } from './rig.ts';
import type { Sizes } from './sizes.ts';
import { makeTemplate, type Template } from './template.ts';

/** Files of the tree that is pushed again are smaller still: what counts is how many. */
const TREE_FILE_SIZE_BYTES = 128;

export class Templates {
  readonly #rig: Rig;
  readonly #sizes: Sizes;
  readonly #say: (line: string) => void;
  readonly #made = new Map<string, Promise<Template>>();

  constructor(rig: Rig, sizes: Sizes, say: (line: string) => void) {
    this.#rig = rig;
    this.#sizes = sizes;
    this.#say = say;
  }

  /** One large file; the second commit has something put into its middle. */
  big(): Promise<Template> {
    const { bigFileBytes, insertedBytes } = this.#sizes;
    return this.#make('big', () => [
      [bigFile(bigFileBytes)],
      [bigFileWithInsertion(bigFileBytes, insertedBytes)],
    ]);
  }

  small(): Promise<Template> {
    const { smallFileCount, smallFileBytes } = this.#sizes;
    return this.#make('small', () => [smallFiles(smallFileCount, smallFileBytes)]);
  }

  /** Very many files; the second commit has the same ones. */
  tree(): Promise<Template> {
    return this.#make('tree', () => {
      const files = smallFiles(this.#sizes.treeFileCount, TREE_FILE_SIZE_BYTES);
      return [files, files];
    });
  }

  /** What one of several clients pushes. */
  client(index: number): Promise<Template> {
    return this.#make(`client-${index}`, () => [[clientFile(index, this.#sizes.clientFileBytes)]]);
  }

  #make(name: string, versions: () => Parameters<typeof makeTemplate>[2]): Promise<Template> {
    const made = this.#made.get(name);
    if (made !== undefined) return made;
    this.#say(`  generating the data set ${name}`);
    const making = makeTemplate(this.#rig, name, versions());
    this.#made.set(name, making);
    return making;
  }
}
