/** Nested settings of several cells as one table, with what differs apart. */

/** Leaves by their path: {"parameters.temperature": 0}. Lists are leaves. */
export function flattened(value: unknown, path = ''): Map<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return new Map(path ? [[path, value]] : [])
  }
  const entries = Object.entries(value)
  if (entries.length === 0 && path) return new Map([[path, {}]])
  return new Map(
    entries.flatMap(([key, one]) => [...flattened(one, path ? `${path}.${key}` : key)]),
  )
}

export interface Setting {
  path: string
  /** Of each cell; undefined where it is not set. */
  values: unknown[]
}

export interface Compared {
  differ: Setting[]
  same: Setting[]
}

/** In the order of the first cell that has a key. */
export function compared(each: readonly unknown[]): Compared {
  const maps = each.map((value) => flattened(value))
  const paths = [...new Set(maps.flatMap((map) => [...map.keys()]))]
  const settings = paths.map((path) => ({ path, values: maps.map((map) => map.get(path)) }))
  const isSame = ({ values }: Setting) =>
    new Set(values.map((value) => (value === undefined ? '' : JSON.stringify(value)))).size === 1
  return {
    differ: settings.filter((setting) => !isSame(setting)),
    same: settings.filter(isSame),
  }
}
