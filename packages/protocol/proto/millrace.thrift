/**
 * Millrace's own API over Apache Thrift: the messages of POST /v1/score, /v1/rank and /v1/events.
 * What their fields mean, and their limits, are those of the HTTP API (/openapi.json).
 * Framed transport, binary protocol. Numbers of fields stay what they are; one that is given up is not used again.
 */
namespace cpp millrace.v1
namespace go millrace.v1
namespace java millrace.v1
namespace py millrace.v1

union Scalar {
  1: string text
  2: double number
  // An id: hashed by its decimal text, whatever its size.
  3: i64 integer
}

union FeatureValue {
  1: string text
  2: double number
  3: i64 integer
  4: bool flag
  5: list<Scalar> values
}

// By field name.
typedef map<string, FeatureValue> Features

// Thrift has no headers; what HTTP has there stands in the request.
struct Call {
  // A key with the role, where keys are wanted.
  1: optional string key
  // The time that the caller has, ms. What is late is not computed.
  2: optional i32 timeoutMs
  // Of W3C Trace Context.
  3: optional string traceparent
  // high, normal or low: who goes first where requests wait. Absent: normal.
  4: optional string priority
}

struct ScoreRequest {
  // May be absent when the cluster has exactly one model.
  1: optional string model
  // Made by the server when absent.
  2: optional string requestId
  3: optional Features user
  4: optional Features context
  5: list<Features> items
  // false: no impression is logged. Default true.
  6: optional bool log
  7: optional Call call
  // Number of a version of the model, or "live"; absent: what label `stable` points at, else the live line.
  8: optional string modelVersion
  // Or the label to follow.
  9: optional string label
}

struct ScoreResponse {
  1: string requestId
  2: string model
  3: i64 version
  // float32 each, in the order of the items.
  4: list<double> scores
  // Absent before an updater has announced itself.
  5: optional double stalenessMs
  6: bool degraded
  7: string engine
  // Absent: the live line scored.
  8: optional i32 modelVersion
  // That was followed.
  9: optional string label
  // Experiment arms that it is in.
  10: optional string arm
}

struct Exploration {
  // epsilon-greedy, softmax, thompson or greedy.
  1: string type
  2: optional double epsilon
  3: optional double temperature
  4: optional double scale
}

// Fields 1 to 5 and 7 to 9 are those of ScoreRequest.
struct RankRequest {
  1: optional string model
  2: optional string requestId
  3: optional Features user
  4: optional Features context
  5: list<Features> items
  // Absent: as the model file, or an experiment's arm, says.
  6: optional Exploration exploration
  7: optional Call call
  8: optional string modelVersion
  9: optional string label
  // Items wanted, best first; absent: all.
  10: optional i32 count
}

struct RankedItem {
  // Place of the item in the request.
  1: i32 index
  2: double score
  3: double propensity
}

// Fields but 4 and 11 are those of ScoreResponse.
struct RankResponse {
  1: string requestId
  2: string model
  3: i64 version
  4: list<RankedItem> ranking
  5: optional double stalenessMs
  6: bool degraded
  7: string engine
  8: optional i32 modelVersion
  9: optional string label
  10: optional string arm
  // What chose the order.
  11: string policy
}

struct Outcome {
  1: optional string model
  2: string requestId
  // Which item: its place in the request, or its value of the model's item field. Neither: the first.
  3: optional i32 index
  4: optional Scalar item
  // Kind; absent: click.
  5: optional string outcome
  6: optional double value
  7: optional i64 timeMs
}

struct OutcomesRequest {
  1: list<Outcome> outcomes
  2: optional Call call
}

struct OutcomesResponse {
  1: i32 accepted
}

// Why a request was not answered; docs/errors.md lists the codes.
exception Refusal {
  1: string code
  2: string message
  // never, same, refresh-map or backoff.
  3: string retryKind
  4: optional i32 retryAfterMs
}

service Millrace {
  // Scores candidates for one user, in the caller's order.
  ScoreResponse score(1: ScoreRequest request) throws (1: Refusal refusal)
  // Draws an order of the candidates; what is shown is logged with its propensities.
  RankResponse rank(1: RankRequest request) throws (1: Refusal refusal)
  // Stores outcomes; all are durable once this answers.
  OutcomesResponse sendOutcomes(1: OutcomesRequest request) throws (1: Refusal refusal)
}
