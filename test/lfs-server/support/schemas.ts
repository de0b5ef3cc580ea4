/** The JSON Schemas of docs/schemas, as assertions. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect } from 'chai';

const FOLDER = join(import.meta.dirname, '../../../docs/schemas');
const ajv = new Ajv2020({ allErrors: true, strictRequired: false });

const FILES = ['lfs-batch-request', 'lfs-batch-response', 'lfs-locks', 'errors'] as const;
for (const file of FILES) {
  ajv.addSchema(JSON.parse(readFileSync(join(FOLDER, `${file}.json`), 'utf8')), file);
}

/** `lfs-batch-response`, or a definition: `lfs-locks#/$defs/list`. */
export function expectSchema(value: unknown, name: string): void {
  const validate = ajv.getSchema(name);
  if (validate === undefined) throw new Error(`no schema ${name}`);
  const isValid = validate(value);
  expect(
    isValid,
    `${JSON.stringify(value)?.slice(0, 400)}\n${ajv.errorsText(validate.errors)}`,
  ).to.equal(true);
}
