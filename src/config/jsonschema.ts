/** The JSON Schema of configuration files, for editors. Loads its converter: only for who asks for it. Pure. */
import { toJsonSchema } from "@valibot/to-json-schema";
import { settingsSchema } from "./schema.ts";

/** Draft 7; a file may name it as its `$schema`. What a pattern or a range cannot say (that a path is absolute, they can) is left to `cfn config check`. */
export function configJsonSchema(): object {
  // What is read is described, not what it becomes; checks in code have no form in JSON Schema.
  const schema = toJsonSchema(settingsSchema, {
    typeMode: "input",
    errorMode: "ignore",
    ignoreActions: ["metadata"],
  });
  const properties = { $schema: { type: "string" }, ...schema.properties };
  return { ...schema, title: "Configuration of cfn", properties };
}
