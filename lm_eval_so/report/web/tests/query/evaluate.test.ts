import { expect, it } from 'vitest'
import { factsOf } from '../../src/data/facts'
import type { Source } from '../../src/data/source'
import { compile, holds } from '../../src/query/evaluate'
import { parse } from '../../src/query/parse'
import { runSearch, type Search } from '../../src/query/text_search'
import { ROWS, smallBoard } from '../small_board'

const board = smallBoard()
const SLOTS = [0, 1]
const source = {
  block: async (number: number) => ROWS.slice(2 * number, 2 * number + 2),
} as unknown as Source

/** The ids that a query finds, once the text is searched. */
async function found(text: string, slots = SLOTS): Promise<string> {
  const compiled = compile(parse(text), board, factsOf(board.columns, slots))
  const search: Search = {
    terms: compiled.textTerms,
    found: compiled.textTerms.map(() => new Uint8Array(ROWS.length)),
  }
  await runSearch(
    search,
    source,
    [0, 1],
    2,
    () => {},
    () => false,
  )
  return board.ids.filter((_, row) => holds(compiled, row, slots, search.found) === true).join(' ')
}

it.each([
  ['', 'a-1 a-2 b-1 b-2'],
  // of the row
  ['id:A-', 'a-1 a-2'],
  ['id=a-', ''],
  ['id=a-1', 'a-1'],
  ['tag:refund', 'a-2 b-1'],
  ['tag:ref', ''],
  ['-tag:refund', 'a-1 b-2'],
  ['tag:refund tag:billing', 'b-1'],
  ['meta.language:en', 'a-1 b-1'],
  ['meta.language:null', 'b-2'],
  ['-meta.language:en', 'a-2 b-2'],
  ['meta.level>=2', 'a-2 b-1'],
  ['meta.places:seoul', 'a-1'],
  ['meta.nowhere:x', ''],
  ['meta.constructor:"function object() { [native code] }"', ''],
  ['-meta.toString:x', 'a-1 a-2 b-1 b-2'],
  ['is:different', 'a-1'],
  ['is:failed', 'a-2 b-1'],
  ['is:truncated', 'b-1'],
  ['is:refused', 'a-1'],
  ['is:empty', 'b-2'],
  ['is:owed', 'b-2'],
  ['-is:failed -is:owed', 'a-1'],
  // of the text
  ['REFUND', 'a-1'],
  ['nowhere', 'a-1'],
  ['환불', 'a-2'],
  ['"two words"', 'b-1'],
  ['-refund', 'a-2 b-1 b-2'],
  ['refund OR 환불', 'a-1 a-2'],
  ['expected:days', 'a-1 b-1'],
  ['expected=days', ''],
  // of a result
  ['status:ok', 'a-1 a-2 b-1 b-2'],
  ['status:timeout', 'b-1'],
  ['status:owed', 'b-2'],
  ['error:ratelimit', 'a-2'],
  ['error:rate', ''],
  ['finish:length', 'b-1'],
  ['latency>2s', 'a-2 b-1'],
  ['-latency>200ms', 'a-1 a-2'],
  ['attempts>1', 'a-2'],
  ['cost=0.1', 'a-1'],
  ['length>=900', 'b-1'],
  ['output<=10', 'a-1 b-2'],
  ['score.exact=0.1', 'b-2'],
  ['score.other=1', ''],
  ['cell:small status:error', 'a-2'],
  ['cell:large status:error', ''],
  // all terms on results hold for one and the same result
  ['status:ok latency>2s', ''],
  ['status:ok attempts>=2', 'a-2'],
  ['status:timeout OR status:error', 'a-2 b-1'],
  ['status:error tag:refund', 'a-2'],
  ['status:error OR tag:billing', 'a-2 b-1'],
  ['status:error OR refund', 'a-1 a-2'],
])('%s finds %s', async (text, ids) => {
  expect(await found(text)).toBe(ids)
})

it('looks only at the cells that are shown', async () => {
  expect(await found('status:error', [1])).toBe('')
  expect(await found('is:different', [0])).toBe('')
})

it('says nothing of a row whose text is not read, unless its columns rule it out', () => {
  const compiled = compile(parse('refund tag:refund'), board, factsOf(board.columns, SLOTS))
  const said = board.ids.map((_, row) => holds(compiled, row, SLOTS, []))
  expect(said).toEqual([false, null, null, false])
})

it('stops when it is over', async () => {
  const search: Search = { terms: parse('x').flat(), found: [new Uint8Array(4)] }
  let blocks = 0
  const counted = { block: () => source.block(blocks++) } as unknown as Source
  await runSearch(
    search,
    counted,
    [0, 1],
    2,
    () => expect.unreachable(),
    () => blocks === 1,
  )
  expect(blocks).toBe(1)
})
