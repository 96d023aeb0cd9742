/** Words with a number: English has two forms, Korean one. */
import { count } from '../format'
import { type Key, t } from '../text'

/** As `t`, with `{n}` as the number; "(s)" stands where English adds an s. */
export function tn(key: Key, n: number, values: Record<string, string | number> = {}): string {
  return t(key, { n: count(n), ...values }).replaceAll('(s)', n === 1 ? '' : 's')
}
