import { describe, expect, it } from 'vitest'
import { HIGHEST, Places, Scale } from '../../src/table/places'

/** The same by adding up. */
function starts(count: number, height: number, more: ReadonlyMap<number, number>): number[] {
  const found = [0]
  for (let at = 0; at < count; at++) found.push((found[at] ?? 0) + height + (more.get(at) ?? 0))
  return found
}

describe.each([
  ['none', new Map()],
  ['the first', new Map([[0, 7]])],
  ['the last', new Map([[9, 7]])],
  [
    'several, in any order',
    new Map([
      [6, 30],
      [2, 7],
      [3, 1],
    ]),
  ],
])('of rows of which %s is higher', (_, more: Map<number, number>) => {
  const places = new Places(10, 20, more)
  const expected = starts(10, 20, more)

  it('each stands behind those before it', () => {
    const items = Array.from({ length: 10 }, (_, at) => places.item(at))
    expect(items.map(({ start }) => start)).toEqual(expected.slice(0, 10))
    expect(items.map(({ size }) => size)).toEqual(
      expected.slice(1).map((e, i) => e - (expected[i] ?? 0)),
    )
    expect(places.total).toBe(expected[10])
  })

  it('every pixel belongs to the row that stands there', () => {
    for (let place = 0; place < places.total; place++) {
      const row = expected.findLastIndex((start) => start <= place)
      expect(places.at(place)).toBe(row)
    }
  })
})

it('the nearest row is found where there is none', () => {
  const places = new Places(10, 20)
  expect([places.at(-300), places.at(5000), new Places(0, 20).at(3)]).toEqual([0, 9, 0])
})

it('a list that a browser can draw is drawn as it is', () => {
  const scale = new Scale(8_800_000, 900)
  expect([scale.drawn, scale.listed(1234), scale.placed(1234)]).toEqual([8_800_000, 1234, 1234])
})

it('a list that is too high is scrolled from its first to its last row', () => {
  const total = 44_000_000
  const scale = new Scale(total, 900)
  expect(scale.drawn).toBe(HIGHEST)
  expect(scale.listed(-40)).toBe(-40)
  expect(scale.listed(0)).toBe(0)
  expect(scale.listed(HIGHEST - 900)).toBe(total - 900)
  expect(scale.placed(scale.listed(777_777))).toBeCloseTo(777_777)
})
