export const browse = {
  title: "Browse",
};
