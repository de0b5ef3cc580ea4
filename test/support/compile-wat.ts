/** The bytes of core/cas/gear-scan.wat, compiled. Run by itself it puts them into gear-scan.ts: npm run wasm. */
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';

const FOLDER = resolve(import.meta.dirname, '../../core/cas');
const EMBEDDED = /(const WASM =\s*)'[^']*'/;

export async function compileGearScan(): Promise<string> {
  const source = await readFile(join(FOLDER, 'gear-scan.wat'), 'utf8');
  const { parseWat } = await wabt();
  return Buffer.from(parseWat('gear-scan.wat', source).toBinary({}).buffer).toString('base64');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = join(FOLDER, 'gear-scan.ts');
  const program = await readFile(file, 'utf8');
  await writeFile(file, program.replace(EMBEDDED, `$1'${await compileGearScan()}'`));
}
