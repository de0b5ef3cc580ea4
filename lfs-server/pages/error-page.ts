/** What a person sees instead of a page: what happened, what to do, and a number to quote. */
import { html } from './html.ts';
import { layout } from './layout.ts';

export interface ShownFailure {
  readonly status: number;
  readonly message: string;
  readonly hint: string | undefined;
  readonly requestId: string;
}

const WORDS: Readonly<Record<number, string>> = {
  400: 'That address is not readable',
  401: 'Log in to see this page',
  403: 'You may not see this page',
  404: 'There is nothing here',
};

export function errorPage(failure: ShownFailure): string {
  const { status, message, hint, requestId } = failure;
  const words = WORDS[status] ?? 'This did not work';
  const body = html`<p class="big">${status}</p><h1>${words}</h1>
<p>${capital(message)}.</p>
${hint === undefined ? null : html`<p>${hint}</p>`}
${status === 404 ? WAYS_ON : null}
<p class="dim">Request <code>${requestId}</code></p>`;
  return layout({ title: `${words} · datamon`, repo: null, body });
}

const WAYS_ON = html`<p>A repo is at <code>/owner/name</code>, its files at <code>/owner/name/tree/&lt;branch&gt;</code>,
a commit at <code>/owner/name/commit/&lt;sha&gt;</code>. <a href="/">All repos</a></p>`;

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
