export const Tree = () => null;
