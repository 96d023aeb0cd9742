import { expect, it } from 'vitest'
import { namesOf, shortName } from '../src/cell_names'
import type { Cell } from '../src/data/types'

const cell = (name: string, settings: Record<string, unknown>) =>
  ({ name, settings }) as unknown as Cell

it.each([
  [{ prompt: 'Be brief.', model: 'small' }, 'small · Be brief.'],
  [{ 'params.temperature': 0.7, model: 'a' }, 'a · temperature=0.7'],
  [{ 'backend.options.wire': 'chat', backend: 'openai' }, 'openai · wire=chat'],
  [{ prompt: '', model: 'small', 'params.stop': ['\n'] }, 'small · stop=["\\n"]'],
  [{ constructor: 1 }, 'constructor=1'],
  [{}, ''],
])('%j is called %s', (settings, name) => {
  expect(shortName(settings)).toBe(name)
})

it('takes the whole name where the short one is not its own', () => {
  const cells = [
    cell('model=a (1)', { model: 'a' }),
    cell('model=a (2)', { model: 'a' }),
    cell('model=b', { model: 'b' }),
    cell('no prompt', { prompt: '' }),
  ]
  expect(namesOf(cells)).toEqual(['model=a (1)', 'model=a (2)', 'b', 'no prompt'])
})
