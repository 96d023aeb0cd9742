import { expect, test } from 'vitest'
import { compared, flattened } from '../../src/views/settings'

test('leaves are named by their path; lists and empty objects are leaves', () => {
  expect([...flattened({ a: { b: 1, c: [1] }, d: {}, e: null })]).toEqual([
    ['a.b', 1],
    ['a.c', [1]],
    ['d', {}],
    ['e', null],
  ])
})

test('a key that is not set differs from null, and what is equal is told apart', () => {
  const { differ, same } = compared([
    { model: 'a', temperature: null, top_p: 1 },
    { model: 'b', top_p: 1 },
  ])
  expect(differ).toEqual([
    { path: 'model', values: ['a', 'b'] },
    { path: 'temperature', values: [null, undefined] },
  ])
  expect(same).toEqual([{ path: 'top_p', values: [1, 1] }])
})
