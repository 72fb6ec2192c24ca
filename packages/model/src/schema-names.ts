/** Patterns of names. */

/** `$comment` is the phrase that an error shows in place of the pattern. */
export const modelNameText = {
  pattern: '^[a-z][a-z0-9-]{0,39}$',
  $comment: 'a lower-case letter, then at most 39 lower-case letters, digits or dashes',
};
export const nameText = {
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u0020\\u007f]([^\\u0000-\\u001f\\u007f]*[^\\u0000-\\u0020\\u007f])?$',
  $comment: 'text without control characters and without a blank at either end',
};
