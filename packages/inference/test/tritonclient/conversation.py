"""What a caller of tritonclient does, over HTTP and gRPC; prints one JSON line of what it heard.

    python conversation.py 127.0.0.1:8080 127.0.0.1:8500
"""

import json
import queue
import sys

import grpc
import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc as stubs
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

heard = {}


def tensor(client, name, values, dtype, wide=False, binary=True):
    array = np.array(values, dtype=dtype)
    if wide:
        array = array.reshape(-1, 1)
    made = client.InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
    if client is over_http:
        made.set_data_from_numpy(array, binary_data=binary)
    else:
        made.set_data_from_numpy(array)
    return made


def inputs_of(client, binary=True, wide=False):
    return [
        tensor(client, "who", ["u1", "u2", "u1"], object, wide, binary),
        tensor(client, "ad", [b"a", b"b", b"c"], object, wide, binary),
        tensor(client, "price", [1.5, 2.5, -0.5], np.float32, wide, binary),
    ]


def scores_of(answer):
    return answer.as_numpy("score").tolist()


def refusal_of(work):
    try:
        work()
    except InferenceServerException as refused:
        return [refused.status(), refused.message()]
    return None


def talk(name, client, url):
    with client.InferenceServerClient(url) as server:
        told = heard[name] = {
            "live": server.is_server_live(),
            "ready": server.is_server_ready(),
            "modelReady": server.is_model_ready("ads"),
            "otherReady": server.is_model_ready("other"),
            "versionReady": server.is_model_ready("ads", "99"),
        }
        as_json = {"as_json": True} if client is over_grpc else {}
        told["server"] = server.get_server_metadata(**as_json)
        told["model"] = server.get_model_metadata("ads", **as_json)
        told["config"] = server.get_model_config("ads", **as_json)
        told["index"] = server.get_model_repository_index(**as_json)
        server.load_model("ads")
        told["unload"] = refusal_of(lambda: server.unload_model("ads"))
        told["statsBefore"] = server.get_inference_statistics(**as_json)
        told["scores"] = []
        for binary in [True, False] if client is over_http else [True]:
            outputs = [client.InferRequestedOutput("score")]
            for wanted in [None, outputs]:
                answer = server.infer("ads", inputs_of(client, binary), outputs=wanted, request_id="r1")
                told["scores"].append(scores_of(answer))
        told["id"] = scores_of(server.infer("ads", [tensor(client, "ad", [2**53 + 1], np.int64)]))
        told["stats"] = server.get_inference_statistics("ads", **as_json)
        told["wrong"] = refusal_of(lambda: server.infer("ads", [tensor(client, "ad", [1], np.float32)]))
        told["version"] = refusal_of(lambda: server.infer("ads", inputs_of(client), model_version="99"))
        told["wide"] = [
            scores_of(server.infer("ads", inputs_of(client, binary, wide=True))) for binary in [True, False]
        ]
        lists = [
            tensor(client, "ad", ["a", "b"], object, wide=True),
            tensor(client, "tags", [["x", "y"], ["z", ""]], object),
        ]
        told["lists"] = scores_of(server.infer("lists", lists))
        told["config refused"] = refusal_of(lambda: server.load_model("ads", config="{}"))
        told["parameters"] = scores_of(
            server.infer("ads", inputs_of(client), priority=1, timeout=1_000_000, parameters={"log": False})
        )
        told["late"] = refusal_of(lambda: server.infer("ads", inputs_of(client), timeout=1))
        (http_only if client is over_http else grpc_only)(server, told)


def http_only(server, told):
    asked = [server.async_infer("ads", inputs_of(over_http), request_id=str(i)) for i in range(3)]
    told["async"] = [[answer.get_response()["id"], scores_of(answer)] for answer in (a.get_result() for a in asked)]
    told["compressed"], told["deflated"] = [
        scores_of(
            server.infer(
                "ads",
                inputs_of(over_http),
                request_compression_algorithm=algorithm,
                response_compression_algorithm=algorithm,
            )
        )
        for algorithm in ["gzip", "deflate"]
    ]


def grpc_only(server, told):
    heard_back = queue.Queue()
    note = lambda result, error: heard_back.put((result, error))
    for i in range(3):
        server.async_infer("ads", inputs_of(over_grpc), note, request_id=str(i))
    answers = [heard_back.get(timeout=30) for _ in range(3)]
    told["async"] = sorted([answer.get_response().id, scores_of(answer)] for answer, _ in answers)
    told["compressed"] = scores_of(server.infer("ads", inputs_of(over_grpc), compression_algorithm="gzip"))

    server.start_stream(note)
    server.async_stream_infer("ads", inputs_of(over_grpc), request_id="s0")
    server.async_stream_infer("other", inputs_of(over_grpc), request_id="s1")
    server.async_stream_infer("ads", inputs_of(over_grpc, wide=True), request_id="s2", enable_empty_final_response=True)
    server.async_stream_infer("ads", inputs_of(over_grpc), request_id="s3", timeout=1)
    server.async_stream_infer("ads", inputs_of(over_grpc), request_id="s4", priority=3)
    told["stream"] = [
        error.message() if error else [answer.get_response().id, scores_of(answer)]
        for answer, error in (heard_back.get(timeout=30) for _ in range(5))
    ]
    server.stop_stream()

    contents = pb.InferTensorContents
    typed = pb.ModelInferRequest(model_name="ads", id="t")
    typed.inputs.add(name="ad", datatype="BYTES", shape=[2, 1], contents=contents(bytes_contents=[b"a", b"b"]))
    typed.inputs.add(name="who", datatype="INT32", shape=[1, 1], contents=contents(int_contents=[7]))
    typed.inputs.add(name="price", datatype="FP64", shape=[2, 1], contents=contents(fp64_contents=[1, 2]))
    with grpc.insecure_channel(sys.argv[2]) as channel:
        [output] = stubs.GRPCInferenceServiceStub(channel).ModelInfer(typed).outputs
        told["typed"] = [list(output.shape), list(output.contents.fp32_contents)]


talk("http", over_http, sys.argv[1])
talk("grpc", over_grpc, sys.argv[2])
print(json.dumps(heard))
