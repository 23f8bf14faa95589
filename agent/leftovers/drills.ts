/** What drills left: those that were killed, and those that were to keep what they restored. */
import { clearCommand } from '../drill/place.ts';
import type { DrillHere, LeftoverFacts } from './facts.ts';
import type { Leftover } from './leftover.ts';

/** All of them, those that run too. */
export function leftDrills({ here }: LeftoverFacts): Leftover[] {
  return (here?.drills ?? []).map((drill) => {
    const { container, says, running, bytes } = drill;
    const began = says === null ? Number.NaN : Date.parse(says.began);
    return {
      kind: 'drill',
      dataset: container,
      name: container,
      what: wordsFor(drill),
      bytes,
      since: Number.isNaN(began) ? null : Math.floor(began / 1000),
      // One whose mark nobody can read is a person's to judge.
      running: running && says !== null,
      continues: null,
      clear: running && says !== null ? [] : [clearCommand(container)],
    };
  });
}

function wordsFor({ says, running }: DrillHere): string {
  if (says === null) return 'bears the name of a drill, and a mark that zkeep cannot read';
  if (running) return `a drill restores there, process ${says.process}`;
  return says.kept ? 'what a drill restored, and was to keep' : 'what a drill restored that was killed';
}
