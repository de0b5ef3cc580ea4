/** Which event may follow which. An event without a row is refused and answered; the process lives on. */
import type { InitRequest, Request } from './messages.ts';

export type State = 'new' | 'uploading' | 'downloading' | 'refused' | 'finished';
type EventName = Request['event'];

/** `null`: the next state follows from the message itself. */
export const TRANSITIONS: Readonly<Record<State, Partial<Record<EventName, State | null>>>> = {
  new: { init: null, terminate: 'finished' },
  uploading: { upload: 'uploading', terminate: 'finished' },
  downloading: { download: 'downloading', terminate: 'finished' },
  /** `init` failed: git-lfs ends us, or starts over with another `init`. */
  refused: { init: null, terminate: 'finished' },
  finished: {},
};

/** The state after `request`, or null where it must not come now. */
export function nextState(state: State, request: Request): State | null {
  const next = TRANSITIONS[state][request.event];
  if (next === undefined) return null;
  return next ?? stateOf(request as InitRequest);
}

function stateOf(init: InitRequest): State {
  return init.operation === 'upload' ? 'uploading' : 'downloading';
}

/** Why an event is refused, for the answer. */
export function refusal(state: State, event: EventName): string {
  switch (state) {
    case 'new':
      return `git-lfs sent ${event} before init`;
    case 'refused':
      return `git-lfs sent ${event} after init had failed`;
    case 'finished':
      return `git-lfs sent ${event} after terminate`;
    default:
      return event === 'init' ? 'git-lfs sent init twice' : `git-lfs sent ${event} while ${state}`;
  }
}
