/** Stands for `fflate` in the build: its `zip` starts workers, which the page's CSP forbids. */
import { type Zippable, zipSync } from 'fflate/browser'

export * from 'fflate/browser'

export function zip(
  files: Zippable,
  done: (error: Error | null, archive?: Uint8Array) => void,
): void {
  let archive: Uint8Array
  try {
    archive = zipSync(files)
  } catch (error) {
    done(error as Error)
    return
  }
  done(null, archive)
}
