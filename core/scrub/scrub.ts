/**
 * Checks a whole store from the store alone. Promises: reads logs before bundles before segments before packs, and asks the store again
 * before it reports, so that a push in flight is no damage; memory grows with the number of objects, not with their bytes; changes nothing.
 */
import type { Backend } from '../backend/backend.ts';
import { DatamonError } from '../errors.ts';
import type { Finding } from './finding.ts';
import { recheck } from './recheck.ts';
import { createSample } from './sample.ts';
import type { RepoSurvey, Survey } from './survey.ts';
import {
  type ContainersOptions,
  foreignNotes,
  orphanNote,
  surveyPacks,
  surveySegments,
} from './survey-containers.ts';
import { surveyFacts } from './survey-facts.ts';
import { surveyRecords } from './survey-records.ts';
import { surveyTrees, type Trouble } from './survey-trees.ts';
import { tellDamage } from './tell.ts';

export interface ScrubProgress {
  readonly phase: 'logs' | 'segments' | 'packs' | 'files';
  readonly objectCount: number;
  readonly readBytes: number;
}

export interface ScrubOptions {
  readonly backend: Backend;
  /** Of the packs' bytes; above 0, at most 1. Logs, segments, bundles and pages are always read. Default: 1. */
  readonly share?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ScrubProgress) => void;
  /** Called before each finding and at the end, so that a progress line can be taken away. */
  readonly onPause?: () => void;
}

export class Scrub {
  readonly #options: ScrubOptions;
  readonly survey: Survey;
  /** What is troubled, by repo; filled as the scrub ends. */
  readonly troubles = new Map<RepoSurvey, ReadonlyMap<string, Trouble>>();
  readonly #progress = { phase: 'logs' as ScrubProgress['phase'], objectCount: 0, readBytes: 0 };
  damageCount = 0;
  noteCount = 0;

  constructor(options: ScrubOptions) {
    this.#options = options;
    const { backend } = options;
    this.survey = { backend, pools: new Map(), repos: new Map(), bad: new Map() };
  }

  get objectCount(): number {
    return this.#progress.objectCount;
  }

  get readBytes(): number {
    return this.#progress.readBytes;
  }

  /** Everything that is not as it should be. NOT_FOUND where there is no store, UNSUPPORTED where it is a later one. */
  async *findings(): AsyncGenerator<Finding> {
    for await (const found of this.#phases()) {
      this.#options.onPause?.();
      if (found.severity === 'damage') this.damageCount += 1;
      else this.noteCount += 1;
      yield found;
    }
    this.#options.onPause?.();
  }

  async *#phases(): AsyncGenerator<Finding> {
    const { survey, troubles } = this;
    const { backend, share = 1 } = this.#options;
    const nowMs = (await backend.now()).getTime();
    const onRead = (sizeBytes: number): void => this.#note(sizeBytes);
    const options: ContainersOptions = { survey, onRead, sample: createSample(share, nowMs) };
    yield* surveyFacts({ survey, onRead, nowMs });
    this.#progress.phase = 'segments';
    for (const repo of survey.repos.values()) yield* surveySegments(options, repo);
    this.#progress.phase = 'packs';
    for (const pool of survey.pools.values()) yield* surveyPacks(options, pool);
    this.#progress.phase = 'files';
    for (const repo of survey.repos.values()) {
      yield* surveyRecords(options, repo);
      troubles.set(repo, await surveyTrees(repo, onRead));
    }
    await recheck(options);
    yield* tellDamage(survey, troubles);
    for (const pool of survey.pools.values()) yield* orphanNote(survey, pool);
    yield* foreignNotes(survey);
  }

  #note(sizeBytes: number): void {
    if (this.#options.signal?.aborted) {
      throw new DatamonError('CANCELLED', 'the check was stopped; it changes nothing');
    }
    this.#progress.objectCount += 1;
    this.#progress.readBytes += sizeBytes;
    this.#options.onProgress?.({ ...this.#progress });
  }
}
