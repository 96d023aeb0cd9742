/**
 * The texts of an Excel file, each once. In place of write-excel-file's own, which keeps them in a
 * plain object, so that a text "constructor" would be found before it is added.
 */
export default function initializeSharedStrings() {
  const ids = new Map<string, number>()
  return {
    getSharedStrings: () => [...ids.keys()],
    findOrCreateSharedString(text: string): number {
      const known = ids.get(text) ?? ids.size
      ids.set(text, known)
      return known
    },
  }
}
