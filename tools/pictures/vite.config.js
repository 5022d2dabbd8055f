// Grafana's icons are files beside its components; everything else goes into one bundle.
import { defineConfig } from "vite";

export default defineConfig({
  publicDir: "node_modules/@grafana/ui/dist/public",
  esbuild: { jsx: "automatic" },
  build: { chunkSizeWarningLimit: Infinity, minify: false, sourcemap: false, reportCompressedSize: false },
  define: { "process.env.NODE_ENV": '"production"' },
  preview: { host: "127.0.0.1", proxy: { "/api": process.env.PROMETHEUS } },
});
