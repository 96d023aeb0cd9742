import { describe, expect, it } from 'vitest'
import { parse, QueryError } from '../../src/query/parse'

/** A query in one line: "|" between the terms of a group, "&" between groups. */
function shape(text: string): string {
  return parse(text)
    .map((group) =>
      group
        .map(({ negated, field, op, value, number }) => {
          const shown = Number.isNaN(number) ? value : `${number}`
          return `${negated ? '-' : ''}${field}${op}${shown}`
        })
        .join(' | '),
    )
    .join(' & ')
}

describe('a query that can be read', () => {
  it.each([
    ['', ''],
    ['   ', ''],
    ['refund', 'text:refund'],
    ['Refund  POLICY', 'text:refund & text:policy'],
    ['"two words"', 'text:two words'],
    ['-"two words"', '-text:two words'],
    ['"-quoted"', 'text:-quoted'],
    ['"status:error"', 'text:status:error'],
    ['"a \\"b\\" c"', 'text:a "b" c'],
    ['환불', 'text:환불'],
    ['-', 'text:-'],
    ['12:30', 'text:12:30'],
    ['status:error', 'status:error'],
    ['STATUS:Error', 'status:error'],
    ['-status:error', '-status:error'],
    ['latency>2s', 'latency>2000'],
    ['latency>=300ms', 'latency>=300'],
    ['latency<1.5s', 'latency<1500'],
    ['latency<=2m', 'latency<=120000'],
    ['latency=250', 'latency=250'],
    ['cost>$0.01', 'cost>0.01'],
    ['output>1k', 'output>1000'],
    ['score.exact=1', 'score.exact=1'],
    ['score.BLEU<-0.5', 'score.BLEU<-0.5'],
    ['meta.Language:KO', 'meta.Language:ko'],
    ['meta.level>2', 'meta.level>2'],
    ['meta.지역:서울', 'meta.지역:서울'],
    ['tag:"two words"', 'tag:two words'],
    ['-tag:"two words"', '-tag:two words'],
    ['cell:a=b', 'cell:a=b'],
    ['id=x:1', 'id=x:1'],
    ['is:different', 'is:different'],
    ['a OR b', 'text:a | text:b'],
    ['a OR b OR c', 'text:a | text:b | text:c'],
    ['a OR b c', 'text:a | text:b & text:c'],
    ['a or b', 'text:a & text:or & text:b'],
    ['a "OR" b', 'text:a & text:or & text:b'],
    ['status:error OR -tag:x', 'status:error | -tag:x'],
  ])('%s', (text, expected) => {
    expect(shape(text)).toBe(expected)
  })

  it('compares text in one Unicode form', () => {
    expect(shape('환불'.normalize('NFD'))).toBe('text:환불')
  })
})

describe('a query that cannot be read says why', () => {
  it.each([
    ['OR a', 'orphan'],
    ['a OR', 'orphan'],
    ['a OR OR b', 'orphan'],
    ['"open', 'quote'],
    ['tag:"open', 'quote'],
    ['lateny>2', 'field'],
    ['http://x', 'field'],
    ['meta.:x', 'field'],
    ['toString:x', 'field'],
    ['status:', 'value'],
    ['latency>', 'value'],
    ['latency>soon', 'number'],
    ['meta.level>high', 'number'],
    ['output:many', 'number'],
    ['status:maybe', 'one_of'],
    ['is:odd', 'one_of'],
    ['tag>3', 'compare'],
    ['status>ok', 'compare'],
  ])('%s: %s', (text, reason) => {
    try {
      parse(text)
    } catch (error) {
      expect(error).toBeInstanceOf(QueryError)
      expect((error as QueryError).reason).toBe(reason)
      return
    }
    expect.unreachable()
  })
})
