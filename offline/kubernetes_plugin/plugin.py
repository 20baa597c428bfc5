"""The methods that the engine calls: check, diff, create, read, update, delete of one object each."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from offline.kubernetes_plugin import objects
from offline.kubernetes_plugin.cluster import Cluster, Refused
from offline.kubernetes_plugin.kubeconfig import KubeconfigError, reach, refuse_others
from offline.kubernetes_plugin.objects import Kind, Manifest
from offline.kubernetes_plugin.waiting import NotReady, Waiter

VERSION = "4.32.0"  # of the SDK in requirements.in
CHANGED = provider_pb2.DiffResponse.DiffChanges.DIFF_SOME
SAME = provider_pb2.DiffResponse.DiffChanges.DIFF_NONE
PROBE = "dry-run-"  # an object that is tried in another namespace, because its own is not there yet


def _refusals_as_sentences(call: Callable[..., Any]) -> Callable[..., Any]:
    """Tell the engine a refusal as a sentence."""

    @wraps(call)
    def refused_in_words(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(self, request, context)
        except NotReady as error:
            # The engine then keeps the object in its state, and the next update waits for it again.
            context.set_trailing_metadata([("grpc-status-details-bin", _unready(request, error))])
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except (Refused, KubeconfigError) as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    return refused_in_words


class Plugin(provider_pb2_grpc.ResourceProviderServicer):
    """One process of the plugin serves one provider resource, so one cluster."""

    _reached: Cluster | None = None
    _kubeconfig, _context, _namespace = "", "", ""
    _force = _upsert = False

    def __init__(self) -> None:
        self._over = threading.Event()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002, D102
        return plugin_pb2.PluginInfo(version=VERSION)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002, D102
        return provider_pb2.CheckResponse(inputs=request.news)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Keep what leads to the cluster; it is not asked anything before it must be."""
        given = {key.rpartition(":")[2]: value for key, value in request.variables.items()}
        self._kubeconfig = given.get("kubeconfig", "")
        self._context, self._namespace = given.get("context", ""), given.get("namespace", "")
        self._force = given.get("enablePatchForce") == "true"
        self._upsert = given.get("upsertExistingObjects") == "true"
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    @_refusals_as_sentences
    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Refuse an object without a name, and fill in a missing namespace."""
        manifest = _manifest(request.news)
        metadata = manifest.setdefault("metadata", {})
        if not metadata.get("name"):
            failure = provider_pb2.CheckFailure(
                property="metadata.name", reason="is missing; this stand-in invents none"
            )
            return provider_pb2.CheckResponse(inputs=request.news, failures=[failure])
        if "namespace" not in metadata and self._cluster.namespaced(Kind.of(manifest)):
            metadata["namespace"] = self._cluster.namespace
        return provider_pb2.CheckResponse(inputs=_struct(manifest))

    @_refusals_as_sentences
    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Ask the server for the object after the change, and compare that with the live one."""
        before, after = _manifest(request.old_inputs), _manifest(request.news)
        if objects.has_unknowns(after):
            return provider_pb2.DiffResponse(changes=CHANGED, diffs=objects.changed_keys(before, after))
        if objects.id_of(before) != objects.id_of(after) or Kind.of(before) != Kind.of(after):
            return _replace(["metadata"])
        live = self._cluster.get(after)
        if live is None:
            return provider_pb2.DiffResponse(changes=CHANGED, diffs=["metadata"])
        try:
            wanted = self._cluster.apply(after, dry=True, force=True)
        except Refused as error:
            if error.immutable:
                return _replace([error.fields[0].partition(".")[0] if error.fields else "spec"])
            raise
        keys = objects.changed_keys(objects.meant(live), objects.meant(wanted))
        return provider_pb2.DiffResponse(changes=CHANGED if keys else SAME, diffs=keys)

    @_refusals_as_sentences
    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Make the object; one that exists is taken over only if the provider is told so."""
        manifest = _manifest(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(id="", properties=_struct(self._previewed(manifest)))
        if not self._upsert and self._cluster.get(manifest):
            raise Refused(
                f"{objects.name_of(manifest)} exists and is not managed by this stack. Choose another name or namespace, "
                "or delete it if it is left over"
            )
        made = self._cluster.apply(manifest, force=self._force)
        made = self._waiter.wait(manifest, made, request.timeout)
        return provider_pb2.CreateResponse(id=objects.id_of(made), properties=_struct(objects.meant(made)))

    @_refusals_as_sentences
    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Say what the object is now; what the program did not ask for is the server's."""
        kind = Kind.of_urn(request.urn)
        place = objects.place_of(request.id)
        live = self._cluster.get({"apiVersion": kind.version, "kind": kind.kind, "metadata": place})
        if live is None:
            return provider_pb2.ReadResponse(id="")
        asked, found = _manifest(request.inputs), objects.meant(live)
        inputs = objects.projected(asked, found) if asked else found
        return provider_pb2.ReadResponse(id=request.id, properties=_struct(found), inputs=_struct(inputs))

    @_refusals_as_sentences
    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Change the object in place."""
        manifest = _manifest(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=_struct(self._previewed(manifest)))
        made = self._cluster.apply(manifest, force=self._force)
        made = self._waiter.wait(manifest, made, request.timeout)
        return provider_pb2.UpdateResponse(properties=_struct(objects.meant(made)))

    @_refusals_as_sentences
    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """Delete the object; one that is not there any more is deleted."""
        kind = Kind.of_urn(request.urn)
        self._cluster.delete({"apiVersion": kind.version, "kind": kind.kind, "metadata": objects.place_of(request.id)})
        return Empty()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002
        """End what waits."""
        self._over.set()
        return Empty()

    @property
    def _cluster(self) -> Cluster:
        if self._reached is None:
            client, namespace = reach(self._kubeconfig, self._context)
            refuse_others(client)
            self._reached = Cluster(client, self._namespace or namespace)
        return self._reached

    @property
    def _waiter(self) -> Waiter:
        return Waiter(self._cluster, self._over)

    def _previewed(self, manifest: Manifest) -> Manifest:
        """Return what the server would make of it; refused manifests are refused in the preview."""
        if objects.has_unknowns(manifest) or self._cluster.namespaced(Kind.of(manifest)) is None:
            return manifest
        try:
            return objects.meant(self._cluster.apply(manifest, dry=True, force=True))
        except Refused as error:
            if error.status == 404 and manifest["metadata"].get("namespace"):
                # Its namespace comes with the same update: the object itself is tried in one that is there.
                place = {
                    **manifest["metadata"],
                    "namespace": "default",
                    "name": PROBE + manifest["metadata"]["name"][:40],
                }
                self._cluster.apply(manifest | {"metadata": place}, dry=True, force=True)
                return manifest
            raise


def _manifest(properties: Struct) -> Manifest:
    found: Manifest = objects.whole_numbers(MessageToDict(properties))
    return found


def _struct(manifest: Manifest) -> Struct:
    made = Struct()
    made.update(manifest)
    return made


def _unready(request: Any, error: NotReady) -> bytes:
    """Return the error's details, from which the engine knows the object that was made all the same."""
    inputs = request.news if hasattr(request, "news") else request.properties
    made = objects.meant(error.made)
    details = provider_pb2.ErrorResourceInitFailed(
        id=objects.id_of(made), properties=_struct(made), reasons=[str(error)], inputs=inputs
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error))
    status.details.add().Pack(details)
    return bytes(status.SerializeToString())


def _replace(fields: list[str]) -> Any:
    # A successor bears the same name, so the predecessor must go first.
    return provider_pb2.DiffResponse(changes=CHANGED, diffs=fields, replaces=fields, deleteBeforeReplace=True)
