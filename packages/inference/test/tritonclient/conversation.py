"""What a caller of tritonclient does, over HTTP and gRPC; prints one JSON line of what it heard.

    python conversation.py 127.0.0.1:8080 127.0.0.1:8500
"""

import json
import sys

import numpy as np
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from tritonclient.utils import InferenceServerException

heard = {}


def inputs_of(client, binary):
    def tensor(name, array, datatype):
        made = client.InferInput(name, list(array.shape), datatype)
        if client is over_http:
            made.set_data_from_numpy(array, binary_data=binary)
        else:
            made.set_data_from_numpy(array)
        return made

    return [
        tensor("who", np.array(["u1", "u2", "u1"], dtype=object), "BYTES"),
        tensor("ad", np.array([b"a", b"b", b"c"], dtype=object), "BYTES"),
        tensor("price", np.array([1.5, 2.5, -0.5], dtype=np.float32), "FP32"),
    ]


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
            "otherReady": refusal_of(lambda: server.is_model_ready("other")) or server.is_model_ready("ads"),
        }
        as_json = {"as_json": True} if client is over_grpc else {}
        told["server"] = server.get_server_metadata(**as_json)
        told["model"] = server.get_model_metadata("ads", **as_json)
        told["config"] = server.get_model_config("ads", **as_json)
        told["index"] = server.get_model_repository_index(**as_json)
        server.load_model("ads")
        told["unload"] = refusal_of(lambda: server.unload_model("ads"))
        told["scores"] = []
        for binary in [True, False] if client is over_http else [True]:
            outputs = [client.InferRequestedOutput("score")]
            for wanted in [None, outputs]:
                answer = server.infer("ads", inputs_of(client, binary), outputs=wanted, request_id="r1")
                told["scores"].append(answer.as_numpy("score").tolist())
        ids = client.InferInput("ad", [1, 1], "INT64")
        ids.set_data_from_numpy(np.array([[2**53 + 1]], dtype=np.int64))
        told["id"] = server.infer("ads", [ids]).as_numpy("score").tolist()
        wrong = client.InferInput("ad", [1], "FP32")
        wrong.set_data_from_numpy(np.array([1], dtype=np.float32))
        told["wrong"] = refusal_of(lambda: server.infer("ads", [wrong]))
        told["stats"] = server.get_inference_statistics("ads", **as_json)
        told["version"] = refusal_of(lambda: server.infer("ads", [ids], model_version="99"))


talk("http", over_http, sys.argv[1])
talk("grpc", over_grpc, sys.argv[2])
print(json.dumps(heard))
