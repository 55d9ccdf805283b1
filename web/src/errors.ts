/** A fault of what the user gave: where, what was expected, what was found, what to do. As runtime/errors.py. */
export class InputError extends Error {
  constructor(
    readonly where: string,
    readonly expected: string,
    readonly found: string,
    readonly remedy = "",
  ) {
    super(`${where ? `${where}: ` : ""}expected ${expected}, found ${found}.${remedy ? ` ${remedy}` : ""}`);
    this.name = "InputError";
  }

  /** The same fault in another place, such as a file. */
  at(where: string): InputError {
    return new InputError(this.where ? `${where}: ${this.where}` : where, this.expected, this.found, this.remedy);
  }
}
