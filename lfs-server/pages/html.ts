/** HTML as a value. Invariant: text becomes HTML only through `html`, which escapes everything that is not HTML already. */

/** Text that is HTML, made by `html` alone. */
export class Html {
  readonly text: string;

  private constructor(text: string) {
    this.text = text;
  }

  static made(text: string): Html {
    return new Html(text);
  }

  toString(): string {
    return this.text;
  }
}

export type Part = Html | string | number | null | undefined | false | readonly Part[];

/** A template whose values are escaped; nested `html` and lists of it are taken as they are, null and false as nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  return Html.made(String.raw({ raw: strings }, ...values.map(render)));
}

function render(value: Part): string {
  if (value instanceof Html) return value.text;
  if (value === null || value === undefined || value === false) return '';
  if (typeof value === 'string' || typeof value === 'number') return escapeHtml(String(value));
  return value.map(render).join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, (char) => ENTITIES[char] ?? char);
}

/** A path of URL segments, each escaped, after the origin. Slashes in a segment are escaped too. */
export function path(...segments: readonly string[]): string {
  return `/${segments.map(encodeURIComponent).join('/')}`;
}
