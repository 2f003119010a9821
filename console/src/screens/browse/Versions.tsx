export const Versions = () => null;
