/** Objects as LFS's basic transfer has them, and its verify: bytes in and out, each object checked against its oid. */
import { type Digest, parseDigest } from '../../core/digest.ts';
import { DatamonError } from '../../core/errors.ts';
import { count, digest, record } from '../../core/shape.ts';
import { demand, OBJECT_READ, OBJECT_WRITE } from '../access.ts';
import { announcedSize, readExactly, readJson, refuseEncoding } from '../body.ts';
import { LFS_TYPE, sendJson } from '../reply.ts';
import { basicAction, type Call, param, type Route } from '../route.ts';
import { sendBlob } from '../send-bytes.ts';

const OCTETS = 'application/octet-stream';
const VERIFY_BODY_MAX_BYTES = 16 * 1024;

export const OBJECT_ROUTES: readonly Route[] = [
  {
    area: 'lfs',
    method: 'put',
    path: '/objects/:oid',
    access: OBJECT_WRITE,
    summary: 'Upload one object (basic transfer)',
    body: OCTETS,
    run: putObject,
  },
  {
    area: 'lfs',
    method: 'get',
    path: '/objects/:oid',
    access: OBJECT_READ,
    summary: 'Download one object, or a range of it',
    answer: OCTETS,
    run: getObject,
  },
  {
    area: 'lfs',
    method: 'post',
    path: '/verify',
    access: OBJECT_WRITE,
    summary: 'Whether an uploaded object is durable',
    body: LFS_TYPE,
    answer: LFS_TYPE,
    run: verifyObject,
  },
];

export async function getObject(call: Call): Promise<void> {
  const oid = parseDigest(param(call, 'oid'));
  const served = await call.deps.repos.find(call.repo);
  const blobs = served?.repository.blobs;
  const sizeBytes = (await blobs?.has([oid], { broken: 'listed' }))?.get(oid);
  if (blobs === undefined || sizeBytes === undefined) throw absent(oid);
  await sendBlob(call, { oid, sizeBytes, open: (range) => blobs.get(oid, range) });
}

const absent = (oid: Digest) => new DatamonError('NOT_FOUND', `this repo has no object ${oid}`);

async function putObject(call: Call): Promise<void> {
  const { request, deps } = call;
  const oid = parseDigest(param(call, 'oid'));
  refuseEncoding(request);
  const sizeBytes = expectedSize(call, oid);
  const { limits } = deps.settings;
  if (sizeBytes > limits.objectSizeMaxBytes) {
    throw new DatamonError(
      'TOO_LARGE',
      `${sizeBytes} bytes are more than the ${limits.objectSizeMaxBytes} taken here`,
    );
  }
  const served = await deps.repos.ensure(call.repo, {
    createdBy: call.caller.subject,
    remote: null,
  });
  const gone = new AbortController();
  call.response.once('close', () => gone.abort());
  let opened = false;
  const open = () => {
    if (opened) throw new DatamonError('UNAVAILABLE', 'an upload can be read only once');
    opened = true;
    return readExactly(request, { sizeBytes, limits });
  };
  await served.repository.blobs.put(
    { oid, sizeBytes, open },
    { signal: gone.signal, meanwhile: 'store-too' },
  );
  sendJson(call, { oid, size: sizeBytes });
}

/** The size the batch was told; where a person's own token is used, that of the body. */
function expectedSize(call: Call, oid: Digest): number {
  const announced = announcedSize(call.request);
  const allowed = basicAction(call)?.sizeBytes ?? null;
  if (allowed !== null && announced !== null && allowed !== announced) {
    throw new DatamonError(
      'MISMATCH',
      `the body has ${announced} bytes; the batch said ${allowed} for ${oid}`,
    );
  }
  const size = allowed ?? announced;
  if (size !== null && Number.isSafeInteger(size)) return size;
  throw new DatamonError('INVALID', 'an upload needs a Content-Length');
}

const parseVerify = record<{ oid: Digest; size: number }>({ oid: digest, size: count });

async function verifyObject(call: Call): Promise<void> {
  const { limits } = call.deps.settings;
  const options = { limitBytes: VERIFY_BODY_MAX_BYTES, limits };
  const { oid, size } = parseVerify(await readJson(call.request, options), 'verify');
  demand(OBJECT_WRITE, call.caller, { repo: call.repo, oid });
  const served = await call.deps.repos.find(call.repo);
  const held = (await served?.repository.blobs.has([oid]))?.get(oid);
  if (held === undefined) throw absent(oid);
  if (held !== size) {
    throw new DatamonError('MISMATCH', `the object ${oid} has ${held} bytes, not ${size}`);
  }
  sendJson(call, { oid, size });
}
