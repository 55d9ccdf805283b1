declare module "@niivue/dcm2niix" {
  interface Processor {
    b(value: "y" | "n"): Processor;
    z(value: "y" | "n"): Processor;
    f(value: string): Processor;
    run(): Promise<File[]>;
  }

  export class Dcm2niix {
    readonly worker: Worker;
    init(): Promise<boolean>;
    input(files: readonly File[]): Processor;
  }
}
