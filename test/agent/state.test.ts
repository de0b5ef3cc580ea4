/** The state table, both ways: every event in every state has exactly the outcome written here. */
import { expect } from 'chai';
import { parseRequest, type Request } from '../../agent/messages.ts';
import { nextState, refusal, type State } from '../../agent/state.ts';
import {
  downloadOf,
  INIT_DOWNLOAD,
  INIT_UPLOAD,
  TERMINATE,
  uploadOf,
} from './support/conversation.ts';

const EVENTS: Readonly<Record<string, object>> = {
  'init upload': INIT_UPLOAD,
  'init download': INIT_DOWNLOAD,
  upload: uploadOf('a'),
  download: downloadOf('a'),
  terminate: TERMINATE,
};

const EXPECTED: Readonly<Record<State, Readonly<Record<string, State | null>>>> = {
  new: {
    'init upload': 'uploading',
    'init download': 'downloading',
    upload: null,
    download: null,
    terminate: 'finished',
  },
  uploading: {
    'init upload': null,
    'init download': null,
    upload: 'uploading',
    download: null,
    terminate: 'finished',
  },
  downloading: {
    'init upload': null,
    'init download': null,
    upload: null,
    download: 'downloading',
    terminate: 'finished',
  },
  refused: {
    'init upload': 'uploading',
    'init download': 'downloading',
    upload: null,
    download: null,
    terminate: 'finished',
  },
  finished: {
    'init upload': null,
    'init download': null,
    upload: null,
    download: null,
    terminate: null,
  },
};

describe('agent/state', () => {
  for (const [state, row] of Object.entries(EXPECTED)) {
    for (const [name, next] of Object.entries(row)) {
      it(`${state} + ${name} → ${next ?? 'refused'}`, () => {
        const request = parseRequest(JSON.stringify(EVENTS[name])) as Request;
        expect(nextState(state as State, request)).to.equal(next);
        if (next === null) {
          expect(refusal(state as State, request.event)).to.include(request.event);
        }
      });
    }
  }
});
