import { strFromU8, unzipSync } from 'fflate/browser'
import { expect, it } from 'vitest'
import type { Source } from '../../src/data/source'
import { csvField, csvOf } from '../../src/export/csv'
import { readSheet } from '../../src/export/rows'
import { excelOf, excelText } from '../../src/export/xlsx'
import { ROWS, smallBoard } from '../small_board'

it.each([
  ['=1+1', "'=1+1"],
  ['+1', "'+1"],
  ['-1', "'-1"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['\t=1', "'\t=1"],
  ['a,b', '"a,b"'],
  ['say "x"', '"say ""x"""'],
  ['two\nlines', '"two\nlines"'],
  [-1, '-1'],
  [0.5, '0.5'],
  [Number.NaN, ''],
  [null, ''],
  ['환불', '환불'],
])('a field of CSV: %j', (value, expected) => {
  expect(csvField(value)).toBe(expected)
})

it('begins a CSV with a BOM and ends its lines with CRLF', () => {
  expect(csvOf({ header: ['a', 'b'], lines: [['x', 1]] })).toBe('\uFEFFa,b\r\nx,1\r\n')
})

it('leaves nothing in a cell of Excel that XML cannot hold', () => {
  expect(excelText('a\u0000b\ud800c\u{1F600}')).toBe('a\ufffdb\ufffdc\u{1F600}')
  expect(excelText('x'.repeat(40_000))).toHaveLength(32_767)
})

it('holds a line a sample in the order asked, with the cells asked', async () => {
  const source = {
    block: async (number: number) => ROWS.slice(2 * number, 2 * number + 2),
  } as unknown as Source
  const rows = Uint32Array.from([2, 0])
  const sheet = await readSheet(smallBoard(), source, rows, [1], () => {})
  expect(sheet.header.slice(0, 5)).toEqual(['id', 'tags', 'question', 'expected', 'model=large'])
  expect(sheet.lines.map((line) => line[0])).toEqual(['b-1', 'a-1'])
  expect(sheet.lines[0]?.slice(2, 6)).toEqual(['Two Words', '{"days":3}', null, 'owed'])
})

it('keeps texts in Excel that every object of JavaScript has by name', async () => {
  const names = ['constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf', 'constructor']
  const file = await excelOf({ header: ['id'], lines: names.map((name) => [name]) })
  const parts = unzipSync(new Uint8Array(await file.arrayBuffer()))
  const part = (name: string) => strFromU8(parts[name] ?? new Uint8Array())
  const found = (xml: string, pattern: RegExp) => [...xml.matchAll(pattern)].map(([, of]) => of)
  const texts = found(part('xl/sharedStrings.xml'), /<t[^>]*>([^<]*)<\/t>/g)
  const numbers = found(part('xl/worksheets/sheet1.xml'), /<v>([^<]*)<\/v>/g)
  expect(numbers.map((number) => texts[Number(number)])).toEqual(['id', ...names])
})
