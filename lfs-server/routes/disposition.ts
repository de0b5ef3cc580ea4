/** The Content-Disposition of a download, as RFC 6266 and 5987 have it. Nothing in a file's name can end the header or leave it. */

/** `name` is any text; control characters and path separators become `_`. */
export function attachment(name: string): string {
  const safe = name.replace(/[\p{Cc}\p{Cs}/\\]/gu, '_') || 'download';
  const ascii = safe.replace(/[^\x20-\x7e]/g, '_').replace(/["%;]/g, '_');
  const extended = encodeURIComponent(safe).replace(
    /['()*!]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${extended}`;
}
