/** The page's own words, in English and Korean. */
import { signal } from '@preact/signals'
import { english as pageEnglish, korean as pageKorean } from './text/page'
import { english as sampleEnglish, korean as sampleKorean } from './text/sample'
import { english as viewsEnglish, korean as viewsKorean } from './text/views'

const ENGLISH = { ...pageEnglish, ...sampleEnglish, ...viewsEnglish }
const KOREAN: Record<keyof typeof ENGLISH, string> = {
  ...pageKorean,
  ...sampleKorean,
  ...viewsKorean,
}

export type Key = keyof typeof ENGLISH
export type Locale = 'en' | 'ko'

export function kept(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

/** Keeps a choice of this browser; without storage it lasts as long as the page. */
export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value)
  } catch {
    // Storage is refused (a file opened in private mode): the choice lasts as long as the page.
  }
}

function firstLocale(): Locale {
  const chosen = kept('lm-eval-so.locale')
  if (chosen === 'en' || chosen === 'ko') return chosen
  return typeof navigator !== 'undefined' && navigator.language.startsWith('ko') ? 'ko' : 'en'
}

export const locale = signal<Locale>(firstLocale())
export const theme = signal<string>(kept('lm-eval-so.theme') ?? 'auto')

/** The words of a key; `{name}` is replaced by the value of that name. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const words = (locale.value === 'ko' ? KOREAN : ENGLISH)[key]
  return words.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole))
}
