#include "sim/run/scenario_json.h"

namespace dogfs::sim {

// The same text as scenarios/schema.json; a test compares them.
static constexpr std::string_view kSchema = R"schema({
  "$schema": "http://json-schema.org/draft-07/schema#",
  "title": "DogFS scenario",
  "description": "a scenario: an object with name, cluster, workload, faults and expect",
  "type": "object",
  "additionalProperties": false,
  "required": ["name", "cluster", "workload", "faults"],
  "properties": {
    "$schema": {"type": "string", "description": "the path of schema.json"},
    "name": {
      "type": "string",
      "minLength": 1,
      "description": "a name: the failure that is staged"
    },
    "description": {
      "type": "string",
      "minLength": 1,
      "description": "what went wrong elsewhere, and which bug this would find"
    },
    "catches": {
      "type": "array",
      "maxItems": 16,
      "items": {"$ref": "#/definitions/mutant"},
      "description": "the planted bugs that it finds, such as [\"M5\"]"
    },
    "cluster": {"$ref": "#/definitions/cluster"},
    "workload": {
      "type": "array",
      "minItems": 1,
      "maxItems": 16,
      "items": {"$ref": "#/definitions/workload"},
      "description": "a list of 1 to 16 workloads"
    },
    "appending": {"$ref": "#/definitions/appending"},
    "faults": {
      "type": "array",
      "maxItems": 1000,
      "items": {"$ref": "#/definitions/fault"},
      "description": "a list of at most 1000 faults"
    },
    "operator_every": {"$ref": "#/definitions/duration"},
    "lasting": {
      "type": "array",
      "maxItems": 32,
      "items": {"$ref": "#/definitions/lasting"},
      "description": "a list of at most 32 faults that stay to the end"
    },
    "faults_until": {"$ref": "#/definitions/duration"},
    "until": {"$ref": "#/definitions/duration"},
    "expect": {"$ref": "#/definitions/expect"}
  },
  "definitions": {
    "duration": {
      "type": "string",
      "pattern": "^[0-9]{1,9}(us|ms|s|m)$",
      "description": "a duration such as \"10s\" or \"200ms\""
    },
    "size": {
      "type": "string",
      "pattern": "^[0-9]{1,9}(B|KiB|MiB)$",
      "description": "a size such as \"1B\", \"64KiB\" or \"4MiB\""
    },
    "mutant": {
      "type": "string",
      "pattern": "^M[0-9]{1,3}$",
      "description": "a planted bug such as \"M5\""
    },
    "node": {
      "type": "string",
      "pattern": "^((meta|chunk|client)-[1-9][0-9]?|(metadata|chunk|client):[a-z]+|all)$",
      "description": "a node like \"chunk-3\", a role like \"metadata:leader\" or \"all\""
    },
    "count": {
      "type": "integer",
      "minimum": 1,
      "maximum": 1000000000,
      "description": "a whole number from 1 up"
    },
    "cluster": {
      "type": "object",
      "additionalProperties": false,
      "required": ["metadata", "chunk", "policy"],
      "description": "an object with metadata, chunk and policy",
      "properties": {
        "metadata": {
          "type": "integer",
          "minimum": 1,
          "maximum": 7,
          "description": "1 to 7 metadata servers"
        },
        "chunk": {
          "type": "integer",
          "minimum": 1,
          "maximum": 32,
          "description": "1 to 32 chunk servers"
        },
        "disks": {
          "type": "integer",
          "minimum": 1,
          "maximum": 4,
          "description": "1 to 4 data directories of each chunk server"
        },
        "zones": {
          "type": "integer",
          "minimum": 1,
          "maximum": 32,
          "description": "1 to 32 zones"
        },
        "policy": {
          "type": "string",
          "pattern": "^(rs-[0-9]+-[0-9]+|rep-[0-9]+)$",
          "description": "a policy such as \"rs-4-2\" or \"rep-3\""
        },
        "block": {"$ref": "#/definitions/size"},
        "cell": {"$ref": "#/definitions/size"},
        "inline": {"$ref": "#/definitions/size"},
        "scrub": {"$ref": "#/definitions/size"},
        "snapshot_after": {"$ref": "#/definitions/size"},
        "log_tail": {
          "type": "integer",
          "minimum": 0,
          "maximum": 1000000000,
          "description": "a whole number of entries"
        },
        "tick": {"$ref": "#/definitions/duration"},
        "latency_max": {"$ref": "#/definitions/duration"},
        "session_silence": {"$ref": "#/definitions/duration"},
        "lease_silence": {"$ref": "#/definitions/duration"},
        "operation_limit": {"$ref": "#/definitions/duration"},
        "removal_step": {"$ref": "#/definitions/count"},
        "drift_ppm": {
          "type": "integer",
          "minimum": 0,
          "maximum": 100000,
          "description": "clock drift in parts per million, 0 to 100000"
        },
        "lease_drift_percent": {
          "type": "integer",
          "minimum": 0,
          "maximum": 1000,
          "description": "the drift of two clocks that a leader lease allows for, 0 to 1000 percent"
        }
      }
    },
    "appending": {
      "type": "object",
      "additionalProperties": false,
      "required": ["clients"],
      "description": "an object with clients that append to files",
      "properties": {
        "clients": {
          "type": "integer",
          "minimum": 1,
          "maximum": 16,
          "description": "1 to 16 clients that append"
        },
        "at_once": {
          "type": "integer",
          "minimum": 1,
          "maximum": 16,
          "description": "1 to 16 records of a client at a time"
        },
        "files": {
          "type": "integer",
          "minimum": 1,
          "maximum": 100,
          "description": "1 to 100 files that are appended to"
        },
        "record": {"$ref": "#/definitions/size"},
        "think": {"$ref": "#/definitions/duration"},
        "until": {"$ref": "#/definitions/duration"}
      }
    },
    "workload": {
      "type": "object",
      "additionalProperties": false,
      "required": ["clients", "mix"],
      "description": "an object with clients and mix",
      "properties": {
        "from": {"$ref": "#/definitions/duration"},
        "until": {"$ref": "#/definitions/duration"},
        "clients": {
          "type": "integer",
          "minimum": 1,
          "maximum": 32,
          "description": "1 to 32 clients"
        },
        "mix": {"$ref": "#/definitions/mix"},
        "size": {
          "type": "array",
          "minItems": 2,
          "maxItems": 2,
          "items": {"$ref": "#/definitions/size"},
          "description": "the least and the greatest size, such as [\"1B\", \"64KiB\"]"
        },
        "paths": {
          "type": "integer",
          "minimum": 1,
          "maximum": 10000,
          "description": "1 to 10000 paths"
        },
        "at_once": {
          "type": "integer",
          "minimum": 1,
          "maximum": 32,
          "description": "1 to 32 operations of a client at a time"
        },
        "depth": {
          "type": "integer",
          "minimum": 1,
          "maximum": 16,
          "description": "1 to 16 names below a top directory"
        },
        "names": {
          "type": "integer",
          "minimum": 1,
          "maximum": 100,
          "description": "1 to 100 names that files and directories share"
        },
        "think": {"$ref": "#/definitions/duration"}
      }
    },
    "mix": {
      "type": "object",
      "additionalProperties": false,
      "minProperties": 1,
      "description": "weights of what clients ask, 0 where none is named",
      "properties": {
        "put": {"$ref": "#/definitions/weight"},
        "get": {"$ref": "#/definitions/weight"},
        "stat": {"$ref": "#/definitions/weight"},
        "list": {"$ref": "#/definitions/weight"},
        "mkdir": {"$ref": "#/definitions/weight"},
        "rename": {"$ref": "#/definitions/weight"},
        "remove": {"$ref": "#/definitions/weight"},
        "copy": {"$ref": "#/definitions/weight"},
        "truncate": {"$ref": "#/definitions/weight"},
        "concatenate": {"$ref": "#/definitions/weight"},
        "quota": {"$ref": "#/definitions/weight"},
        "use": {"$ref": "#/definitions/weight"},
        "attributes": {"$ref": "#/definitions/weight"},
        "replace": {"$ref": "#/definitions/weight"}
      }
    },
    "weight": {
      "type": "integer",
      "minimum": 0,
      "maximum": 1000,
      "description": "a weight from 0 to 1000"
    },
    "fault": {
      "description": "at, and one of kill, power_loss, pause, partition, clog, reset, disk, clock",
      "oneOf": [
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "kill"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "kill": {"$ref": "#/definitions/node"},
            "for": {"$ref": "#/definitions/duration"},
            "disk_operation": {"$ref": "#/definitions/count"},
            "after_election": {"$ref": "#/definitions/duration"},
            "after_reconfiguration": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "power_loss"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "power_loss": {"$ref": "#/definitions/node"},
            "for": {"$ref": "#/definitions/duration"},
            "disk_operation": {"$ref": "#/definitions/count"},
            "after_election": {"$ref": "#/definitions/duration"},
            "after_reconfiguration": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "pause", "for"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "pause": {"$ref": "#/definitions/node"},
            "for": {"$ref": "#/definitions/duration"},
            "after_election": {"$ref": "#/definitions/duration"},
            "after_reconfiguration": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "partition", "for"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "partition": {"$ref": "#/definitions/partition"},
            "for": {"$ref": "#/definitions/duration"},
            "after_election": {"$ref": "#/definitions/duration"},
            "after_reconfiguration": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "clog", "for"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "clog": {"$ref": "#/definitions/clog"},
            "for": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "reset"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "reset": {"$ref": "#/definitions/count"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "disk"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "disk": {"$ref": "#/definitions/disk"},
            "for": {"$ref": "#/definitions/duration"},
            "after_election": {"$ref": "#/definitions/duration"},
            "after_reconfiguration": {"$ref": "#/definitions/duration"}
          }
        },
        {
          "type": "object",
          "additionalProperties": false,
          "required": ["at", "clock"],
          "properties": {
            "at": {"$ref": "#/definitions/duration"},
            "clock": {"$ref": "#/definitions/clock"}
          }
        }
      ]
    },
    "lasting": {
      "type": "object",
      "additionalProperties": false,
      "minProperties": 1,
      "maxProperties": 1,
      "description": "one of kill, power_loss, pause, partition, disk",
      "properties": {
        "kill": {"$ref": "#/definitions/node"},
        "power_loss": {"$ref": "#/definitions/node"},
        "pause": {"$ref": "#/definitions/node"},
        "partition": {"$ref": "#/definitions/partition"},
        "disk": {"$ref": "#/definitions/disk"}
      }
    },
    "partition": {
      "type": "object",
      "additionalProperties": false,
      "required": ["isolate"],
      "description": "an object with isolate, and perhaps from and direction",
      "properties": {
        "isolate": {"$ref": "#/definitions/node"},
        "from": {"$ref": "#/definitions/node"},
        "direction": {
          "type": "string",
          "enum": ["both", "in", "out"],
          "description": "\"both\", \"in\" or \"out\""
        }
      }
    },
    "clog": {
      "type": "object",
      "additionalProperties": false,
      "required": ["node", "latency"],
      "description": "an object with node and latency",
      "properties": {
        "node": {"$ref": "#/definitions/node"},
        "latency": {"$ref": "#/definitions/duration"}
      }
    },
    "disk": {
      "type": "object",
      "additionalProperties": false,
      "required": ["node", "fault"],
      "description": "an object with node and fault",
      "properties": {
        "node": {"$ref": "#/definitions/node"},
        "fault": {
          "type": "string",
          "enum": ["errors", "slow", "stall", "bit-rot", "sector-errors", "lost", "dead", "full"],
          "description": "one of errors, slow, stall, bit-rot, sector-errors, lost, dead, full"
        },
        "sectors": {"$ref": "#/definitions/count"},
        "per_million": {"$ref": "#/definitions/count"},
        "factor": {"$ref": "#/definitions/count"}
      }
    },
    "clock": {
      "type": "object",
      "additionalProperties": false,
      "required": ["node", "jump"],
      "description": "an object with node and jump",
      "properties": {
        "node": {"$ref": "#/definitions/node"},
        "jump": {"$ref": "#/definitions/duration"}
      }
    },
    "expect": {
      "type": "object",
      "additionalProperties": false,
      "description": "an object with what must hold",
      "properties": {
        "linearizable": {"type": "boolean", "description": "true or false"},
        "durable": {"type": "boolean", "description": "true or false"},
        "operations_min": {"$ref": "#/definitions/count"},
        "write_gap_max": {"$ref": "#/definitions/duration"},
        "elections_max": {"$ref": "#/definitions/count"},
        "heals_within": {"$ref": "#/definitions/duration"}
      }
    }
  }
}
)schema";

std::string_view scenario_schema() { return kSchema; }

}  // namespace dogfs::sim
