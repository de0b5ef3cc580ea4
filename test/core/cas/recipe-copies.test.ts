/** Recipes told by others: what is meant comes out, or nothing does. */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  ChunkList,
  encodeChunkList,
  type RecipePiece,
  type UnfoldOptions,
  unfoldRecipes,
} from '../../../core/cas/recipe-copies.ts';
import { type Digest, digestOf } from '../../../core/digest.ts';
import { DatamonError, type ErrorCode } from '../../../core/errors.ts';
import { codeOf, errorOf } from '../../support/code-of.ts';

const digests = (letters: string): Digest[] => [...letters].map((letter) => digestOf(letter));
const listOf = (letters: string): ChunkList => new ChunkList(encodeChunkList(digests(letters)));
const baseOf = (letters: string) => ({
  oid: digestOf(`file ${letters}`),
  recipe: listOf(letters).recipe,
});

/** A store of files, each named by the letters of its chunks. */
const storeOf =
  (...files: string[]): UnfoldOptions['recipeOf'] =>
  async (oid) => {
    const letters = files.find((file) => digestOf(`file ${file}`) === oid);
    if (letters === undefined) throw new DatamonError('NOT_FOUND', 'it is not there');
    return {
      oid,
      sizeBytes: letters.length,
      chunks: digests(letters).map((digest) => ({ digest, sizeBytes: 1 })),
    };
  };

const failing =
  (code: ErrorCode): UnfoldOptions['recipeOf'] =>
  async () => {
    throw new DatamonError(code, 'no');
  };

const unfold = (
  pieces: readonly RecipePiece[],
  base = 'abcdef',
  options: Partial<UnfoldOptions> = {},
) =>
  unfoldRecipes([pieces], { bases: [baseOf(base)], recipeOf: storeOf(base), ...options }).then(
    ([recipe]) => recipe,
  );

describe('recipes told by others', () => {
  it('say the same as in full, whatever repeats, moves or is new', async () => {
    const letters = fc.array(fc.constantFrom(...'abcdefgh'), { maxLength: 30 });
    const property = fc.asyncProperty(letters, letters, async (before, after) => {
      const [base, file] = [before.join(''), after.join('')];
      const pieces = listOf(base).tell(digests(file), 0);
      expect(await unfold(pieces, base)).to.deep.equal(digests(file));
    });
    await fc.assert(property, { numRuns: 300 });
  });

  it('take one copy for each run that stayed', () => {
    const told = listOf('abcdef').tell(digests('abcXdef'), 3);
    expect(told).to.deep.equal([[3, 0, 3], digestOf('X'), [3, 3, 3]]);
    expect(listOf('aabaac').tell(digests('aabaac'), 0).length).to.be.at.most(3);
    expect(listOf('').tell(digests('ab'), 0)).to.deep.equal(digests('ab'));
  });

  it('copy from several bases', async () => {
    const bases = [baseOf('abc'), baseOf('def')];
    const recipes = [[[1, 1, 2]], [[0, 0, 1], digestOf('X'), [1, 0, 1]], []] as const;
    const unfolded = await unfoldRecipes(recipes, { bases, recipeOf: storeOf('abc', 'def') });
    expect(unfolded).to.deep.equal([digests('ef'), digests('aXd'), []]);
  });

  for (const [what, copy] of [
    ['past the end', [0, 4, 3]],
    ['from past the end', [0, 6, 1]],
    ['of nothing', [0, 2, 0]],
    ['from no base', [1, 0, 1]],
    ['beyond all numbers', [0, Number.MAX_SAFE_INTEGER, 1]],
  ] as const) {
    it(`are refused with a copy ${what}`, async () => {
      expect(await codeOf(unfold([copy]))).to.equal('INVALID');
    });
  }

  it('are refused where the base is stored by another recipe, or not at all', async () => {
    const other = { oid: baseOf('abcdef').oid, recipe: listOf('abcdeX').recipe };
    const error = await errorOf(unfold([[0, 0, 1]], 'abcdef', { bases: [other] }));
    expect([error.code, error.hint]).to.deep.equal([
      'CONFLICT',
      'Send the recipes that copy from it in full.',
    ]);
    for (const code of ['NOT_FOUND', 'CORRUPT'] as const) {
      const unfolding = unfold([[0, 0, 1]], 'abcdef', { recipeOf: failing(code) });
      expect(await codeOf(unfolding)).to.equal('CONFLICT');
    }
    const unfolding = unfold([[0, 0, 1]], 'abcdef', { recipeOf: failing('UNAVAILABLE') });
    expect(await codeOf(unfolding)).to.equal('UNAVAILABLE');
  });

  it('are refused before anything is read where few bytes say very much', async () => {
    let reads = 0;
    const recipeOf: UnfoldOptions['recipeOf'] = async (oid) => {
      reads += 1;
      return await storeOf('abcdef')(oid);
    };
    const pieces: RecipePiece[] = Array(4).fill([0, 0, 5]);
    const unfolding = unfold(pieces, 'abcdef', { recipeOf, chunkCountMax: 19 });
    expect(await codeOf(unfolding)).to.equal('TOO_LARGE');
    expect(await codeOf(unfold([[0, 0, 2 ** 40]], 'abcdef', { recipeOf }))).to.equal('TOO_LARGE');
    expect(reads).to.equal(0);
    expect(await unfold(pieces, 'abcdef', { recipeOf, chunkCountMax: 20 })).to.have.length(20);
  });

  it('are refused where their bases are too much', async () => {
    const bases = Array(3).fill(baseOf('abcdef'));
    expect(await codeOf(unfold([], 'abcdef', { bases, chunkCountMax: 17 }))).to.equal('TOO_LARGE');
    expect(await unfold([], 'abcdef', { bases, chunkCountMax: 18 })).to.deep.equal([]);
  });

  it('come from whole lists only', async () => {
    const bytes = encodeChunkList(digests('ab'));
    expect(bytes.length).to.equal(64);
    expect(await codeOf(() => new ChunkList(bytes.subarray(1)))).to.equal('CORRUPT');
    expect(listOf('ab').recipe).to.equal(digestOf(bytes));
    expect([listOf('ab').has(digestOf('a')), listOf('ab').has(digestOf('c'))]).to.deep.equal([
      true,
      false,
    ]);
  });
});
