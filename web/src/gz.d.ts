declare module "*?gz" {
  /** The address of the file in gzip's form. */
  const url: string;
  export default url;
}
