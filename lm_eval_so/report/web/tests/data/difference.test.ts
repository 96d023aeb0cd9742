import { describe, expect, it } from 'vitest'
import {
  differences,
  fromFirstDifference,
  type Piece,
  sharedPart,
  words,
} from '../../src/data/difference'

const SIGN = { same: '', added: '+', gone: '-', whole: '~' }
const line = (pieces: readonly Piece[] | null) =>
  pieces?.map(({ kind, text }) => (kind === 'same' ? text : `[${SIGN[kind]}${text}]`)).join('')

describe('differences', () => {
  it.each([
    ['a b c', 'a b c', 'a b c'],
    ['a b c', 'a x c', 'a [-b][+x] c'],
    ['a c', 'a b c', 'a [+b ]c'],
    ['a b c', 'a c', 'a [-b ]c'],
    ['one two three', 'un deux three', '[-one two][+un deux] three'],
    ['환불은 14일 이내', '환불은 30일 이내', '환불은 [-14][+30]일 이내'],
    ['', 'new', '[+new]'],
  ])('%s -> %s', (reference, text, expected) => {
    expect(line(differences(reference, text))).toBe(expected)
  })

  it('keeps every character of the answer', () => {
    const text = 'She said: "no", and 😀 left.\n\nThen — 환불!'
    const pieces = differences('He said "yes", then left.', text) ?? []
    expect(
      pieces
        .filter(({ kind }) => kind !== 'gone')
        .map((piece) => piece.text)
        .join(''),
    ).toBe(text)
  })

  it('gives up on texts that are too long or too different', () => {
    expect(differences('a', 'x'.repeat(50_000))).toBeNull()
    const many = (word: string) => Array.from({ length: 4000 }, (_, n) => `${word}${n}`).join(' ')
    expect(differences(many('a'), many('b'))).toBeNull()
  })
})

it('cuts Korean into words', () => {
  expect(words('환불은 됩니다.').join('|')).toBe('환불은| |됩니다|.')
})

it('measures what two answers share', () => {
  expect(sharedPart(differences('a b', 'a b') ?? [])).toBe(1)
  expect(sharedPart(differences('abc', 'xyz') ?? [])).toBe(0)
})

it('shows the first difference, wherever it is', () => {
  const lead = 'word '.repeat(60)
  const pieces = differences(`${lead}end`, `${lead}stop`) ?? []
  expect(line(fromFirstDifference(pieces, 20))).toBe('…word word word [-end][+stop]')
  expect(line(fromFirstDifference(pieces.slice(0, 1), 20))).toBe(lead)
})
